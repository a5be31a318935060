using System.CommandLine;
using System.Security.Cryptography;
using System.Text.Json;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;
using LdlVk.Evaluation.Benchmarks;
using LdlVk.Evaluation.Reports;
using LdlVk.Evaluation.Steps;
using LdlVk.Runtime.Files;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk eval</c>: measures how often the model agrees with human preferences.</summary>
internal static class EvalCommand
{
    private const string Notes = """
        Input, one of these on each line, optionally with "subset" and "id":
          {"prompt", "chosen", "rejected"}               RewardBench v1 and other pairs; chosen and
                                                         rejected are strings or lists of messages
          {"prompt", "chosen": […], "rejected": […]}     RewardBench 2, including its Ties subset
          {"problem", "steps", "label"}                  ProcessBench, for process reward models; so is
          {"modified_question", "modified_process",      PRMBench
           "error_steps", "classification"}
        Scores are computed like those of the leaderboards, with known subsets grouped in sections.
        A line that cannot be scored is skipped and reported; the exit code is 3 then.
        """;

    public static Command Create(Terminal terminal)
    {
        ModelFlags model = new();
        Option<string> input = CreateInput();
        Option<string?> output = new("--output")
        {
            Description =
                "Write results line by line, with the fields of the {model}_outputs.jsonl that RewardBench's tools write and read.",
            HelpName = "FILE",
        };
        Option<string?> report = CreateReport();
        Option<bool> json = new("--json") { Description = "Write the summary as JSON." };
        Option<double> threshold = CreateThreshold();
        Command command = new NotedCommand(
            "eval", "Evaluate the model on preference data: accuracy as RewardBench computes it, calibration, a report.", Notes);
        Option<string?> map = TextFlags.CreateMap();
        Option[] own = [input, map, output, report, json, threshold];
        foreach (Option option in own) command.Options.Add(option);
        model.AddTo(command);
        command.SetAction(async (call, cancellationToken) =>
        {
            if (model.ShowPlan(call, terminal)) return ExitCode.Success;
            NotStandardOutput(call.GetValue(output), output.Name);
            NotStandardOutput(call.GetValue(report), report.Name);
            ItemFields names = TextFlags.Names(call, map);
            double above = call.GetValue(threshold);
            if (above is not (>= 0 and < 1))
                throw new UsageException($"{threshold.Name} {above} is not from 0 to below 1, as steps' scores are.");
            using LineSource source = terminal.OpenInput(call.GetValue(input)!, cancellationToken);
            source.Names = names;
            using OutputFile? outputFile = call.GetValue(output) is { } path ? terminal.OpenOutput(path, output.Name, isLines: true) : null;
            using OutputFile? reportFile = call.GetValue(report) is { } reportPath ? terminal.OpenOutput(reportPath, report.Name) : null;
            RunSettings settings = RunSettings.Of(call, model, details: false);
            (ScoringRun run, RewardModel loaded) = await ScoringRun.LoadAsync(
                call, model, terminal, cancellationToken).ConfigureAwait(false);
            using (loaded)
            {
                string setting = $"{Readable.Devices(loaded.Devices)}, {Readable.Name(loaded.Weights)} weights";
                using IEnumerator<RawLine> raw = source.RawLines().GetEnumerator();
                bool isAny = raw.MoveNext();
                if (isAny && !names.IsMap && StepLine.IsOne(raw.Current))
                {
                    (StepScorer steps, int ended) = await StepEval.ScoreAsync(
                        run, loaded, All(), above, outputFile?.Stream, terminal, cancellationToken).ConfigureAwait(false);
                    outputFile?.Complete();
                    StepFindings found = new(
                        call.GetValue(model.Model)!, call.GetValue(input)!, setting, StepResult.Of(steps.Examples, above), steps,
                        settings.Text, DigestOf(call.GetValue(input)!));
                    if (reportFile is not null)
                    {
                        StepReport.Write(found, reportFile.Stream);
                        reportFile.Complete();
                    }

                    Print(json => StepJson.Write(found, json), screen => StepEval.Show(found, screen), call.GetValue(json), terminal);
                    return ended;
                }

                AttributeScores attributes = new();
                WorstMisses misses = new();
                OutputsFile? outputs = outputFile is null ? null : new OutputsFile(outputFile.Stream, loaded);
                (PairScorer scorer, int code) = await PairRun.ScoreAsync(run, loaded, All(), names, (line, example, rewards) =>
                {
                    outputs?.Write(line, example);
                    attributes.Add(rewards, line.ChosenCount);
                    misses.Add(example, line);
                }, terminal, cancellationToken).ConfigureAwait(false);
                outputFile?.Complete();
                EvalFindings findings = new(
                    call.GetValue(model.Model)!, call.GetValue(input)!, setting, loaded.AttributeNames, EvalResult.Of(scorer.Examples),
                    attributes, misses.Misses, scorer.Failures, scorer.Failed)
                {
                    EqualByTruncation = scorer.EqualByTruncation,
                    Provenance = settings.Text,
                    InputDigest = DigestOf(call.GetValue(input)!),
                };
                if (reportFile is not null)
                {
                    EvalReport.Write(findings, reportFile.Stream);
                    reportFile.Complete();
                }

                Print(json => EvalJson.Write(findings, json), screen => EvalTable.Show(findings, screen), call.GetValue(json), terminal);
                return code;

                IEnumerable<RawLine> All()
                {
                    for (; isAny; isAny = raw.MoveNext()) yield return raw.Current;
                }
            }
        });
        return command;
    }

    /// <summary>--input of pairs.</summary>
    public static Option<string> CreateInput() => new("--input")
    {
        Description = $"Pairs. {TextFlags.DataSet}.",
        HelpName = "FILE",
        Required = true,
    };

    /// <summary>--report.</summary>
    public static Option<string?> CreateReport() => new("--report")
    {
        Description = "Write a report as a self-contained HTML file.",
        HelpName = "FILE.html",
    };

    /// <summary>Checks that a flag names a file, because standard output has the summary.</summary>
    public static void NotStandardOutput(string? path, string flag)
    {
        if (path == "-") throw new UsageException($"{flag} - is not possible: the summary goes to standard output. Give a file name.");
    }

    /// <summary>SHA-256 of a file; null for standard input, a pipe or a folder.</summary>
    private static string? DigestOf(string path)
    {
        // A named pipe that has been read would be waited for without end.
        if (FileIdentity.Of(path)?.Kind != FileKind.File) return null;
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    private static Option<double> CreateThreshold() => new("--step-threshold")
    {
        Description = "Score above which a step counts as right, for labels of steps.",
        HelpName = "X",
        DefaultValueFactory = _ => 0.5,
    };

    private static void Print(Action<Utf8JsonWriter> json, Action<Screen> show, bool asJson, Terminal terminal)
    {
        if (asJson)
        {
            using JsonDocumentWriter document = new(terminal);
            json(document.Json);
            return;
        }

        using Screen screen = new(terminal);
        show(screen);
    }
}
