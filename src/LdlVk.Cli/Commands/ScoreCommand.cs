using System.CommandLine;
using LdlVk.Cli.Input;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Cli.Traces;
using LdlVk.Runtime;
using LdlVk.Runtime.Model;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk score</c>: JSON lines in, JSON lines out.</summary>
internal static class ScoreCommand
{
    private const string Notes = """
        Input, one of these on each line:
          {"id"?, "messages": [{"role", "content"}, …]}
          {"id"?, "prompt", "response"}
          {"id"?, "prompt", "responses": […]}
          {"id"?, "input_ids": […]}                      token ids, used as they are
        Output, in the order of the input:
          {"id", "score", "tokens"}
          {"id", "scores": […], "best", "tokens": […]}   for responses; best is an index
          {"id", "error"}                                not scored; exit code 3 at the end
        With --details also "weights" [22], "distribution" [10] and "rewards" [22][10],
        and for responses a list of each.
        A missing id is the line's number, counted from 0. Other fields are ignored.
        A blank line is an error, but for the very last one.
        """;

    public static Command Create(Terminal terminal)
    {
        ModelFlags model = new();
        TextFlags texts = new("The assistant's response; give several to choose among them.", "File of JSON lines, - for standard input.");
        Option<string?> output = TextFlags.CreateOutput();
        Option<bool> details = new("--details") { Description = "Add to each result the attributes' weights, the distribution of the score and the attributes' distributions (rewards)." };
        Option<string?> trace = new("--trace") { Description = "Write the named intermediates of scoring one text to a file, for ldlvk trace.", HelpName = "FILE" };
        Command command = new NotedCommand("score", "Score texts: JSON lines in, JSON lines out.", Notes);
        texts.AddTo(command);
        command.Options.Add(output);
        command.Options.Add(details);
        model.AddTo(command);
        command.Options.Add(trace);
        command.SetAction(async (call, cancellation) =>
        {
            if (model.ShowPlan(call, terminal)) return ExitCode.Success;
            // What is cheap to check comes first: a typing error should not cost the loading of a model.
            using LineSource source = texts.Open(call, terminal, cancellation);
            IEnumerable<InputLine> lines = source.Lines();
            string? tracePath = call.GetValue(trace);
            if (tracePath is not null) lines = [OnlyText(lines)];
            using OutputFile file = OutputFile.Open(call.GetValue(output), output.Name, terminal, isLines: true);
            using OutputFile? traceFile = tracePath is null ? null : OutputFile.Open(tracePath, trace.Name, terminal);
            (ScoringRun run, RewardModel loaded) = await ScoringRun.LoadAsync(call, model, terminal, cancellation).ConfigureAwait(false);
            using (loaded)
            {
                ResultLine result = new(file.Stream);
                bool withDetails = call.GetValue(details);
                int code = traceFile is null
                    ? await run.ScoreAsync(loaded, lines, line => result.Write(line, withDetails), cancellation).ConfigureAwait(false)
                    : Trace(loaded, lines.Single(), traceFile, line => result.Write(line, withDetails), cancellation);
                file.Complete();
                return code;
            }
        });
        return command;
    }

    private static InputLine OnlyText(IEnumerable<InputLine> lines)
    {
        InputLine[] first = [.. lines.Take(2)];
        if (first is not [{ } line] || line.Texts > 1) throw new UsageException("--trace is for one text. Give one --prompt and --response, or a file of one line.");
        return line.Error is null ? line : throw new InputException($"The line to trace cannot be scored: {line.Error}");
    }

    private static int Trace(RewardModel model, InputLine line, OutputFile file, Action<ScoredLine> write, CancellationToken cancellation)
    {
        int[] ids = line.Ids ?? model.Tokenize(line.Conversations[0]);
        Reward reward;
        using (TraceWriter trace = new(file.Stream, line.Name))
        {
            reward = model.Score(ids, trace, cancellation);
            trace.Complete();
        }

        file.Complete();
        write(new ScoredLine(line, [reward], null));
        return ExitCode.Success;
    }
}
