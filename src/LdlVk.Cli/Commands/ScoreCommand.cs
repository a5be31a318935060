using System.CommandLine;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Cli.Traces;
using LdlVk.Datasets.Lines;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk score</c>: JSON lines in, JSON lines out.</summary>
internal static class ScoreCommand
{
    private const string Notes = """
        Input, one of these on each line:
          {"id"?, "messages": [{"role", "content"}, …]}
          {"id"?, "prompt", "response"}
          {"id"?, "prompt", "responses": […]}
          {"id"?, "prompt", "chosen", "rejected"}
          {"id"?, "text"}                                with its template
          {"id"?, "input_ids": […]}                      token ids, not changed
          {"id"?, "prompt", "steps": […]}                a response in steps, or a list of such
          {"id"?, "input_ids": […], "step_positions": […]}
        and other common forms; docs/datasets.md lists them, ldlvk render shows the texts.
        Output, in the order of the input:
          {"id", "score", "tokens"}
          {"id", "scores": […], "best", "tokens": […]}   for responses; best is an index
          {"id", "score", "steps": […], "tokens"}        from a process reward model
          {"id", "error"}                                not scored; exit code 3 at the end
        With --details also what else the model gives: "weights" of attributes, with
        "distribution" and "rewards" (LDL), or with their scores, "attributes",
        "adjusted" and "quantiles" (ArmoRM, QRM, URM); for responses a list of each.
        With --output FILE.parquet the same as columns, and the line's number in "line".
        A missing id is the line's number, counted from 0. Fields that cannot change the
        text are ignored; others are used, or an error.
        A blank line is an error, except for the last one.
        A row of a Parquet file is a line: columns are fields, groups are objects, lists are arrays.
        """;

    public static Command Create(Terminal terminal)
    {
        ModelFlags model = new();
        TextFlags texts = new(
            "The assistant's response; give several to choose among them.",
            $"{TextFlags.DataSet}; - for standard input.");
        Option<string?> output = TextFlags.CreateTableOutput();
        Option<bool> details = new("--details")
        {
            Description =
                "Add to each result what the model gives beside its score: the attributes' weights, and their scores or distributions.",
        };
        Option<string?> trace = new("--trace")
        {
            Description = "Write the named intermediates of scoring one text to a file, for ldlvk trace.",
            HelpName = "FILE",
        };
        ResumeFlags resume = new();
        Option<int> showText = new("--show-text")
        {
            Description = "Show the first N texts on standard error as the model reads them; ldlvk render shows all [default: 0].",
            HelpName = "N",
        };
        Command command = new NotedCommand("score", "Score texts: JSON lines in, JSON lines out.", Notes);
        texts.AddTo(command);
        command.Options.Add(output);
        resume.AddTo(command);
        command.Options.Add(details);
        command.Options.Add(showText);
        model.AddTo(command);
        command.Options.Add(trace);
        command.SetAction(async (call, cancellationToken) =>
        {
            if (model.ShowPlan(call, terminal)) return ExitCode.Success;
            int shown = call.GetValue(showText);
            if (shown < 0) throw new UsageException($"{showText.Name} {shown}: give a number from 0 on.");
            TextPreview preview = new(terminal, shown);
            if (resume.AreGiven(call))
            {
                if (call.GetValue(trace) is not null)
                    throw new UsageException("--trace takes one text; --resume and --shard take many.");
                DatasetRun dataset = new(
                    call,
                    model,
                    texts,
                    call.GetValue(output),
                    resume,
                    call.GetValue(details),
                    preview,
                    terminal);
                return await dataset.RunAsync(cancellationToken).ConfigureAwait(false);
            }

            // Cheap checks come first, so that a typing error is reported before a model is loaded.
            using LineSource source = texts.Open(call, terminal, cancellationToken);
            IEnumerable<InputLine> lines = source.Lines();
            string? tracePath = call.GetValue(trace);
            if (tracePath is not null) lines = [OnlyText(lines)];
            using OutputFile file = terminal.OpenOutput(call.GetValue(output), output.Name, isLines: true, isResults: true);
            using OutputFile? traceFile = tracePath is null ? null : terminal.OpenOutput(tracePath, trace.Name);
            (ScoringRun run, RewardModel loaded) = await ScoringRun.LoadAsync(
                call, model, terminal, cancellationToken).ConfigureAwait(false);
            using (loaded)
            {
                lines = preview.Show(lines, loaded);
                ResultWriter result = new(file.Stream);
                bool withDetails = call.GetValue(details);
                int code = traceFile is null
                    ? await run.ScoreAsync(loaded, lines, line => result.Write(line, withDetails), cancellationToken).ConfigureAwait(false)
                    : Trace(loaded, lines.Single(), traceFile, line => result.Write(line, withDetails), cancellationToken);
                file.Complete(cancellationToken);
                return code;
            }
        });
        return command;
    }

    private static InputLine OnlyText(IEnumerable<InputLine> lines)
    {
        InputLine[] first = [.. lines.Take(2)];
        if (first is not [{ } line] || line.Item.Texts > 1)
            throw new UsageException("--trace takes one text. Give one --prompt and --response, or a file of one line.");
        return line.Error is null ? line : throw new InputException($"The line to trace cannot be scored: {line.Error}");
    }

    private static int Trace(
        RewardModel model, InputLine line, OutputFile file, Action<ScoredLine> write, CancellationToken cancellationToken)
    {
        TokenizedText text = line.Item.Encode(model).Single();
        if (text.Error is not null) throw new InputException(text.Error);
        Reward reward;
        using (TraceWriter trace = new(file.Stream, line.Name))
        {
            reward = model.Score(text, trace, cancellationToken);
            trace.Complete();
        }

        file.Complete();
        write(new ScoredLine(line, [reward], null));
        return ExitCode.Success;
    }
}
