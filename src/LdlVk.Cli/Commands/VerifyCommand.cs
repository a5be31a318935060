using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Runtime.Formatting;
using LdlVk.Runtime.Model;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk verify</c>: scores the published examples of a known model with the weights at hand.</summary>
internal static class VerifyCommand
{
    private const string Notes = """
        A folder is recognized by its config and its head, never by its name. Models of equal shape are told apart by their scores: it
        passes if the scores are those of one of them, within what the arithmetic of the published run and the weights' format explain.
        Exit code 0 if it passes, 3 if it does not, or if nothing is published that could be compared.
        """;

    public static Command Create(Terminal terminal)
    {
        Argument<string> folder = new("MODEL") { Description = "Folder of the model." };
        ModelFlags flags = new();
        Option<string?> name = new("--as")
        {
            Description = "Compare with this known model alone, such as Skywork/Skywork-Reward-V2-Llama-3.1-8B; see ldlvk models.",
            HelpName = "NAME",
        };
        Option<bool> json = new("--json") { Description = "Write the result as JSON." };
        NotedCommand command = new("verify", "Score the published examples of a known model, and say how far off they are.", Notes)
        {
            folder, name, json,
        };
        flags.AddSettingsTo(command);
        command.Options.Add(flags.Quiet);
        command.SetAction(async (call, cancellationToken) =>
        {
            if (call.GetValue(folder) is not { Length: > 0 } path)
                throw new UsageException("MODEL is empty. Give the folder of the model.");
            RewardModelOptions options = flags.Read(call) with { MeasureComputeError = false };
            KnownModel[] candidates = Candidates(path, options, call.GetValue(name));
            if (candidates.All(model => model.Examples.Count == 0))
            {
                Report(new Outcome(candidates, [], null), call.GetValue(json), terminal);
                return ExitCode.SomeFailed;
            }

            ScoringRun run = new(terminal, call.GetValue(flags.Quiet));
            using RewardModel loaded = await run.LoadAsync(path, options, cancellationToken).ConfigureAwait(false);
            Outcome outcome = new(
                candidates,
                [.. candidates.Where(model => model.Examples.Count > 0).Select(model => (model, ModelVerification.Run(model, loaded)))],
                $"{Readable.Devices(loaded.Devices)}, {Readable.Name(loaded.Weights)} weights");
            Report(outcome, call.GetValue(json), terminal);
            return outcome.Match is null ? ExitCode.SomeFailed : ExitCode.Success;
        });
        return command;
    }

    /// <summary>A score in digits that tell it from others.</summary>
    public static string Number(double score) => score.ToString("G6", CultureInfo.InvariantCulture);

    /// <summary>The beginning of an example's answer.</summary>
    public static string Short(PublishedScore example) => Readable.OneLine(example.Conversation.Messages[^1].Content, 40);

    private static KnownModel[] Candidates(string folder, RewardModelOptions options, string? name)
    {
        using Checkpoint checkpoint = Checkpoint.Open(folder, options.Adapter, options.Head);
        if (name is null) return [.. KnownModels.Matching(checkpoint)];
        KnownModel known = KnownModels.All.FirstOrDefault(model => model.Repository.Equals(name, StringComparison.OrdinalIgnoreCase))
            ?? throw new UsageException($"--as {name}: there is no such known model. ldlvk models lists them.");
        return known.Fits(checkpoint) || known.Shape is null
            ? [known]
            : throw new CheckpointException(
                $"{checkpoint.Folder} is not {known.Repository}: its config or its head is another. "
                + "ldlvk inspect shows them, and ldlvk models what is known of that model.");
    }

    private static void Report(Outcome outcome, bool asJson, Terminal terminal)
    {
        if (asJson) WriteJson(outcome, terminal);
        else Show(outcome, terminal);
    }

    private static void Show(Outcome outcome, Terminal terminal)
    {
        using Screen screen = new(terminal);
        if (outcome.Run is { } run) screen.Line(Screen.Safe(run));
        foreach ((KnownModel model, IReadOnlyList<VerifiedScore> scores) in outcome.Results)
        {
            screen.Line($"[bold]{Screen.Safe(model.Repository)}[/]  ({Screen.Safe(scores[0].Published.Source)})");
            screen.Line("  published       here  difference  tolerance");
            foreach (VerifiedScore score in scores)
            {
                string verdict = score.Error is { } error ? $"[red]not scored[/]: {Screen.Safe(error.InFlags())}"
                    : score.Passes ? "[green]equal[/]" : "[red]differs[/]";
                string numbers = string.Create(
                    CultureInfo.InvariantCulture, $"{Number(score.Score),9}  {score.Difference,10:F4}  {score.Tolerance,9:F4}");
                screen.Line($"  {Number(score.Published.Score),9}  {numbers}  {verdict}");
            }
        }

        string result = outcome.Match is null ? "[red]Not verified.[/]" : "[green]Verified.[/]";
        screen.Line($"{result} {Screen.Safe(outcome.Explain())}");
    }

    private static void WriteJson(Outcome outcome, Terminal terminal)
    {
        using JsonDocumentWriter document = new(terminal);
        Utf8JsonWriter json = document.Json;
        json.WriteBoolean("verified", outcome.Match is not null);
        json.WriteString("model", outcome.Match?.Repository);
        json.WriteString("explanation", outcome.Explain());
        json.WriteString("run", outcome.Run);
        json.WriteStartArray("candidates");
        foreach (KnownModel model in outcome.Candidates) json.WriteStringValue(model.Repository);
        json.WriteEndArray();
        json.WriteStartArray("results");
        foreach ((KnownModel model, IReadOnlyList<VerifiedScore> scores) in outcome.Results)
        {
            foreach (VerifiedScore score in scores)
            {
                json.WriteStartObject();
                json.WriteString("model", model.Repository);
                json.WriteString("response", score.Published.Conversation.Messages[^1].Content);
                json.WriteNumber("published", score.Published.Score);
                if (score.Error is { } error) json.WriteString("error", error.InFlags());
                else json.WriteNumber("score", score.Score);
                json.WriteNumber("tolerance", score.Tolerance);
                json.WriteBoolean("passes", score.Passes);
                json.WriteString("source", score.Published.Source);
                json.WriteEndObject();
            }
        }

        json.WriteEndArray();
    }

    /// <summary>What a verification found.</summary>
    /// <param name="Candidates">The known models that the folder may be.</param>
    /// <param name="Results">Those with published scores, and the scores here.</param>
    /// <param name="Run">Devices and format of the run; null if nothing was scored.</param>
    private sealed record Outcome(
        KnownModel[] Candidates, IReadOnlyList<(KnownModel Model, IReadOnlyList<VerifiedScore> Scores)> Results, string? Run)
    {
        /// <summary>The model whose published scores are those here; null for none.</summary>
        public KnownModel? Match => Results.FirstOrDefault(result => result.Scores.All(score => score.Passes)).Model;

        public string Explain()
        {
            string silent = string.Join(", ", Candidates.Where(model => model.Examples.Count == 0).Select(model => model.Repository));
            if (Match is { } match) return $"The scores are those that were published for {match.Repository}.";
            if (Candidates.Length == 0)
                return "The folder is of no known model by its config and its head, so there is no published score to compare with. "
                    + "It may still be right: score a few texts with the model's own code, and compare.";
            if (Results.Count == 0)
                return $"By its config and its head it may be {silent}. No score was found that was published for it: score a few texts "
                    + "with the model's own code, and compare.";
            return "The scores are not those that were published for "
                + $"{string.Join(" or ", Results.Select(result => result.Model.Repository))}."
                + (silent.Length == 0 ? "" : $" By its shape it may also be {silent}, for which no scores were found.");
        }
    }
}
