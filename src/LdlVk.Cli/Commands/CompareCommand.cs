using System.CommandLine;
using System.Globalization;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk compare</c>: compares two responses, with the probability that the first is better.</summary>
internal static class CompareCommand
{
    public static Command Create(Terminal terminal)
    {
        ModelFlags model = new();
        TextFlags texts = new("A response; give this flag twice, first A, then B.", input: null);
        Option<bool> json = new("--json") { Description = "Write the result as JSON." };
        Command command = new("compare", "Compare two responses to a prompt: their scores, and P(A > B) = σ(score A − score B).");
        texts.AddTo(command);
        command.Options.Add(json);
        model.AddTo(command);
        command.SetAction(async (call, cancellationToken) =>
        {
            if (model.ShowPlan(call, terminal)) return ExitCode.Success;
            using LineSource source = texts.Open(call, terminal, cancellationToken);
            InputLine line = source.Lines().Single();
            if (line.Item.Texts != 2)
                throw new UsageException(
                    $"compare takes two responses, and {Readable.Plural(line.Item.Texts, "--response")} was given. "
                    + $"To order any number, use ldlvk rank.");
            (ScoringRun run, RewardModel loaded) = await ScoringRun.LoadAsync(
                call, model, terminal, cancellationToken).ConfigureAwait(false);
            using (loaded)
            {
                ScoredLine? scored = null;
                await run.ScoreAsync(loaded, [line], s => scored = s, cancellationToken).ConfigureAwait(false);
                if (scored!.Error is { } error) throw new InputException(error);
                Comparison comparison = new(scored.Rewards[0], scored.Rewards[1]);
                if (call.GetValue(json)) WriteJson(comparison, terminal);
                else Show(comparison, line, terminal);
                return ExitCode.Success;
            }
        });
        return command;
    }

    private static void WriteJson(Comparison comparison, Terminal terminal) => new ResultWriter(terminal.Out).Write(json =>
    {
        json.WriteStartArray("scores");
        json.WriteNumberValue(comparison.A.Score);
        json.WriteNumberValue(comparison.B.Score);
        json.WriteEndArray();
        json.WriteNumber("probability_a_is_better", comparison.ProbabilityAIsBetter);
    });

    private static void Show(Comparison comparison, InputLine line, Terminal terminal)
    {
        using Screen screen = new(terminal);
        bool aIsBetter = comparison.A.Score > comparison.B.Score, equal = comparison.A.Score == comparison.B.Score;
        Row("A", comparison.A.Score, line.Item.Conversations[0], aIsBetter);
        Row("B", comparison.B.Score, line.Item.Conversations[1], !aIsBetter && !equal);
        screen.Line($"P(A > B) = {Probability(comparison.ProbabilityAIsBetter)}");

        void Row(string name, float score, Conversation conversation, bool better)
        {
            string row = $"{name}  {Readable.Score(score),7}  {Screen.Safe(Readable.OneLine(conversation.Messages[^1].Content, 66))}";
            screen.Line(better ? $"[green]{row}[/]" : row);
        }
    }

    /// <summary>Formats a probability with enough decimals that one near 0 or 1 does not look certain.</summary>
    internal static string Probability(double p)
    {
        double margin = Math.Min(p, 1 - p);
        int decimals = margin >= 0.01 || margin <= 0 ? 3 : Math.Min(9, 1 - (int)Math.Floor(Math.Log10(margin)));
        return p.ToString($"F{decimals}", CultureInfo.InvariantCulture);
    }
}
