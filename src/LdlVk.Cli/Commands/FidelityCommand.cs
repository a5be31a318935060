using System.CommandLine;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;
using LdlVk.Evaluation.Benchmarks;
using LdlVk.Evaluation.Reports;
using LdlVk.Runtime.Files;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk fidelity</c>: measures the effect of other weights or another device on the scores.</summary>
internal static class FidelityCommand
{
    private const string Notes = """
        A SETTING is KEY=VALUE,… and overrides the other flags. Its keys are model (another folder,
        such as a converted one), adapter, device, weights, compute, head, heads, embedding-scale, memory,
        split and batch-tokens. The models are loaded one after another.
          ldlvk fidelity --model DIR --input PAIRS.jsonl --baseline weights=fp32
            --candidate weights=int8 --candidate weights=int4,device=vulkan:0
        Input lines are those of ldlvk eval.
        """;

    public static Command Create(Terminal terminal)
    {
        ModelFlags model = new();
        Option<string> input = EvalCommand.CreateInput();
        Option<string> baseline = new("--baseline")
        {
            Description = "The setting to compare with, as weights=fp32.",
            HelpName = "SETTING",
            Required = true,
        };
        Option<string[]> candidates = new("--candidate")
        {
            Description = "A setting to compare, as weights=int8; give this flag once for each.",
            HelpName = "SETTING",
            Required = true,
            Arity = ArgumentArity.OneOrMore,
        };
        Option<string?> report = EvalCommand.CreateReport();
        Option<bool> json = new("--json") { Description = "Write the comparison as JSON, with all pairs that flip." };
        Command command = new NotedCommand(
            "fidelity", "Compare a model's scores under different settings: errors, ranks, pairs that flip, accuracy.", Notes);
        Option<string?> map = TextFlags.CreateMap();
        Option[] own = [input, map, baseline, candidates, report, json];
        foreach (Option option in own) command.Options.Add(option);
        model.AddTo(command);
        command.SetAction(async (call, cancellationToken) =>
        {
            ModelSetting[] settings = Settings(call, model, (baseline, candidates));
            if (call.GetValue(model.DryRun)) return ShowPlans(settings, terminal);
            if (call.GetValue(model.TraceEvents) is not null)
                throw new UsageException("--trace-events traces one run of a model, but fidelity makes several. Use it with ldlvk eval.");
            string path = call.GetValue(input)!;
            if (path == "-" || FileIdentity.Of(path)?.Kind == FileKind.Device)
                throw new UsageException($"--input {path} can be read only once, but fidelity reads it for each setting. Give a file.");
            EvalCommand.NotStandardOutput(call.GetValue(report), report.Name);
            ItemFields names = TextFlags.Names(call, map);
            terminal.OpenInput(path, cancellationToken).Dispose();
            using OutputFile? reportFile = call.GetValue(report) is { } reportPath ? terminal.OpenOutput(reportPath, report.Name) : null;
            List<SettingRun> runs = [];
            int code = ExitCode.Success;
            foreach (ModelSetting setting in settings)
            {
                bool quiet = call.GetValue(model.Quiet);
                if (!quiet) terminal.Error.WriteLine(Readable.OneLine(setting.Name));
                ScoringRun run = new(terminal, quiet);
                using LineSource source = terminal.OpenInput(path, cancellationToken);
                source.Names = names;
                using RewardModel loaded = await run.LoadAsync(setting.Folder, setting.Options, cancellationToken).ConfigureAwait(false);
                LineDigest digest = new();
                (PairScorer scorer, int result) = await PairRun.ScoreAsync(
                    run, loaded, source.RawLines().Select(Digested), names, scored: null, terminal, cancellationToken)
                    .ConfigureAwait(false);
                if (result != ExitCode.Success) code = result;
                runs.Add(
                    new SettingRun(
                        setting.Name, $"{Readable.Devices(loaded.Devices)}, {Readable.Name(loaded.Weights)} weights", scorer.Examples,
                        scorer.Failures, digest.Value));

                RawLine Digested(RawLine line)
                {
                    digest.Add(line);
                    return line;
                }
            }

            Print(SettingRuns.Of(runs), path, call.GetValue(json), reportFile, terminal);
            return code;
        });
        return command;
    }

    private static ModelSetting[] Settings(ParseResult call, ModelFlags model, (Option<string> Baseline, Option<string[]> Candidates) flags)
    {
        string folder = call.GetValue(model.Model)!;
        RewardModelOptions common = model.Read(call);
        ModelSetting[] settings =
        [
            ModelSetting.Parse(flags.Baseline.Name, call.GetValue(flags.Baseline)!, folder, common),
            .. call.GetValue(flags.Candidates)!.Select(c => ModelSetting.Parse(flags.Candidates.Name, c, folder, common)),
        ];
        // Planning finds errors before the first of several long runs.
        foreach (ModelSetting setting in settings) RewardModel.MakePlan(setting.Folder, setting.Options);
        return settings;
    }

    private static int ShowPlans(ModelSetting[] settings, Terminal terminal)
    {
        using Screen screen = new(terminal);
        foreach (ModelSetting setting in settings)
        {
            screen.Line($"[bold]{Screen.Safe(setting.Name)}[/]");
            PlanReport.Show(RewardModel.MakePlan(setting.Folder, setting.Options), screen);
        }

        return ExitCode.Success;
    }

    private static void Print(SettingRuns all, string input, bool asJson, OutputFile? report, Terminal terminal)
    {
        if (report is not null)
        {
            FidelityReport.Write(all, input, report.Stream);
            report.Complete();
        }

        if (asJson)
        {
            using JsonDocumentWriter document = new(terminal);
            FidelityJson.Write(all, input, document.Json);
            return;
        }

        using Screen screen = new(terminal);
        FidelityTable.Show(all, screen);
    }
}
