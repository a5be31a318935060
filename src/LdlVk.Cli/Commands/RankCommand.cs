using System.CommandLine;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk rank</c>: orders the responses to each prompt, best first.</summary>
internal static class RankCommand
{
    private const string Notes = """
        Input lines:            {"id"?, "prompt", "responses": […]}
          or                    {"id"?, "prompt", "steps": [[…], …]} for a process reward model
        Output with --json:     {"id", "ranking": [{"index", "score", "tokens"}, …]}
          or                    {"id", "error"}, and exit code 3 at the end
        """;

    public static Command Create(Terminal terminal)
    {
        ModelFlags model = new();
        TextFlags texts = new(
            "A response; give this flag once for each.",
            $"{TextFlags.DataSet}; - for standard input.");
        Option<string?> output = TextFlags.CreateOutput();
        Option<bool> json = new("--json") { Description = "Write JSON lines." };
        Command command = new NotedCommand("rank", "Order the responses to each prompt, best first.", Notes);
        texts.AddTo(command);
        command.Options.Add(output);
        command.Options.Add(json);
        model.AddTo(command);
        command.SetAction(async (call, cancellationToken) =>
        {
            if (model.ShowPlan(call, terminal)) return ExitCode.Success;
            using LineSource source = texts.Open(call, terminal, cancellationToken);
            using OutputFile file = terminal.OpenOutput(call.GetValue(output), output.Name, isLines: true);
            (ScoringRun run, RewardModel loaded) = await ScoringRun.LoadAsync(
                call, model, terminal, cancellationToken).ConfigureAwait(false);
            using (loaded)
            {
                ResultWriter result = new(file.Stream);
                bool asJson = call.GetValue(json);
                int code;
                // The screen writes its last bytes into the file, so it ends before the file is complete.
                using (Screen screen = new(terminal, file.Stream))
                    code = await run.ScoreAsync(
                        loaded, source.Lines().Select(OnlyPrompts), line => Write(line, screen), cancellationToken).ConfigureAwait(false);
                file.Complete();
                return code;

                void Write(ScoredLine line, Screen screen)
                {
                    if (asJson) WriteJson(result, line);
                    else Show(screen, line);
                }
            }
        });
        return command;
    }

    private static InputLine OnlyPrompts(InputLine line) =>
        line.Error is not null || line.Item.Prompt is not null ? line : line.Failed("to rank, the line needs prompt and responses.");

    private static int[] Order(ScoredLine line) =>
        [.. Enumerable.Range(0, line.Rewards.Count).OrderByDescending(i => line.Rewards[i].Score)];

    private static void WriteJson(ResultWriter result, ScoredLine line)
    {
        if (line.Error is { } error)
        {
            result.WriteError(line.Line.Id, error);
            return;
        }

        result.Write(json =>
        {
            RewardJson.WriteId(json, line.Line.Id);
            json.WriteStartArray("ranking");
            foreach (int i in Order(line))
            {
                json.WriteStartObject();
                json.WriteNumber("index", i);
                json.WriteNumber("score", line.Rewards[i].Score);
                RewardJson.WriteSteps(json, line.Rewards[i]);
                json.WriteNumber("tokens", line.Rewards[i].Tokens);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        });
    }

    private static void Show(Screen screen, ScoredLine line)
    {
        string title = line.Line.Item.Prompt is { } prompt ? Readable.OneLine(prompt, 70) : "";
        screen.Line($"[bold]{Screen.Safe(Readable.OneLine(line.Line.Id, 30))}[/]  {Screen.Safe(title)}".TrimEnd());
        if (line.Error is { } error) screen.Line($"  [red]error: {Screen.Safe(error)}[/]");
        int place = 1;
        foreach (int i in Order(line))
        {
            string row =
                $"{place,4}. {Readable.Score(line.Rewards[i].Score),7}  #{i,-3} "
                + $"{Screen.Safe(Readable.OneLine(line.Line.Item.Conversations[i].Messages[^1].Content, 58))}";
            screen.Line(place++ == 1 ? $"[green]{row}[/]" : row);
        }
    }
}
