using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Cli.Traces;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary>The common part of scoring commands: loads the model, scores lines, and shows progress and a summary.</summary>
internal sealed class ScoringRun(Terminal terminal, bool quiet, string? timelinePath = null)
    : IProgress<LoadProgress>, IProgress<ScoreProgress>
{
    private readonly StatusLine _status = new(terminal, quiet);
    private readonly Stopwatch _loading = new();
    private readonly TimeLeft _left = new();
    private readonly TimelineFile? _timeline = timelinePath is null ? null : new TimelineFile();

    /// <summary>Loads the model that the flags name, and shows the progress.</summary>
    public static Task<(ScoringRun Run, RewardModel Model)> LoadAsync(
        ParseResult call, ModelFlags flags, Terminal terminal, CancellationToken cancellationToken) =>
        LoadAsync(call, flags, terminal, flags.Read(call), cancellationToken);

    /// <summary>Loads the model that the flags name with these options, and shows the progress.</summary>
    public static async Task<(ScoringRun Run, RewardModel Model)> LoadAsync(
        ParseResult call, ModelFlags flags, Terminal terminal, RewardModelOptions options, CancellationToken cancellationToken)
    {
        string? timeline = call.GetValue(flags.TraceEvents);
        // A file that cannot be written is an error before the run, not after it.
        if (timeline is not null) OutputFile.Check(timeline, flags.TraceEvents.Name);
        ScoringRun run = new(terminal, call.GetValue(flags.Quiet), timeline);
        options = options with { Timeline = run._timeline };
        return (run, await run.LoadAsync(call.GetValue(flags.Model)!, options, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>Loads a model, and shows the progress.</summary>
    public async Task<RewardModel> LoadAsync(string folder, RewardModelOptions options, CancellationToken cancellationToken)
    {
        if (folder.Length == 0) throw new UsageException("--model is empty. Give the folder of the model.");
        using (_status)
        {
            _loading.Restart();
            _status.Show(() => $"Opening {folder}");
            RewardModel model = await RewardModel.LoadAsync(folder, options, this, cancellationToken).ConfigureAwait(false);
            model.Warning += message =>
            {
                _status.Dispose();
                terminal.Say(message.InFlags());
            };
            if (!quiet && model.TuningNote is { } tuned) terminal.Say(tuned.InFlags());
            if (!quiet && options.StepAggregation is null && model.StepAggregation is { } aggregation)
                terminal.Say(
                    $"A score is the {aggregation.ToString().ToLowerInvariant()} of a response's steps, the model's default; --aggregate "
                    + "has others.");
            if (!quiet && model.Note is { } note) terminal.Say(note.InFlags());
            if (quiet) return model;
            foreach (string place in DeviceNotes(model, options.Device)) terminal.Say(place);
            return model;
        }
    }

    /// <summary>Scores lines and hands each to <paramref name="write"/>, in order.</summary>
    /// <param name="model">The model.</param>
    /// <param name="lines">The lines.</param>
    /// <param name="write">Receives each line with its result.</param>
    /// <param name="cancellationToken">Cancels the run between micro-batches.</param>
    /// <param name="reasonsAt">A phrase that says where the reasons of failed lines are.</param>
    /// <returns>The exit code.</returns>
    public async Task<int> ScoreAsync(
        RewardModel model, IEnumerable<InputLine> lines, Action<ScoredLine> write, CancellationToken cancellationToken,
        string reasonsAt = "the reasons are in the results")
    {
        LineScorer scorer = new(model, this, FlagWording.Word);
        _left.Begin();
        long failed = 0;
        using (_status)
        {
            await foreach (ScoredLine line in scorer.ScoreAsync(lines, cancellationToken).ConfigureAwait(false))
            {
                if (line.Error is not null) failed++;
                write(line);
                _left.Done(line.Line.Share);
            }
        }

        if (!quiet)
        {
            foreach (string read in scorer.Shapes.Read()) terminal.Error.WriteLine(read);
            terminal.Error.WriteLine(Summary(model, scorer.Progress));
        }

        foreach (string doubt in scorer.Shapes.Doubts()) terminal.Say(doubt);
        WriteTimeline();
        if (!quiet && model.ComputeError is { } error) terminal.Error.WriteLine(Describe(error, model.Compute));
        if (failed > 0 && !quiet) terminal.Say($"{Readable.Plural(failed, "line")} could not be scored; {reasonsAt}.");
        return failed > 0 ? ExitCode.SomeFailed : ExitCode.Success;
    }

    /// <summary>
    /// What a container lacks most often: a driver for its card, one that is new enough, or a folder that keeps compiled kernels.
    /// </summary>
    private static IEnumerable<string> DeviceNotes(RewardModel model, string asked)
    {
        bool onCpu = model.Devices.All(d => d.Kind == DeviceKind.Cpu), isAuto = asked == new RewardModelOptions().Device;
        if (!onCpu && CacheFile.WhyNotKept() is { } why)
            yield return $"Compiled kernels are not kept, so each start compiles them again: {why}. "
                + "Set XDG_DATA_HOME to a folder that can.";
        if (onCpu && isAuto && (ComputeDevices.WhyNoExpectedGpu() ?? ComputeDevices.WhyNoCard()) is { } missing)
            yield return $"The CPU scores: {missing.InFlags()}.";
        if (asked == "vulkan" && model.Devices.All(d => d.Kind == DeviceKind.Software) && ComputeDevices.WhyNoCard() is { } refused)
            yield return $"A software driver scores: {refused.InFlags()}.";
    }

    private void WriteTimeline()
    {
        if (_timeline is null) return;
        using (OutputFile file = terminal.OpenOutput(timelinePath, "--trace-events"))
        {
            _timeline.Write(file.Stream);
            file.Complete();
        }

        if (quiet) return;
        foreach (string line in _timeline.Idle()) terminal.Error.WriteLine(line);
    }

    void IProgress<LoadProgress>.Report(LoadProgress value) => _status.Show(() => string.Create(CultureInfo.InvariantCulture,
        $"Loading {value.BytesDone / 1e9:F2} of {value.BytesTotal / 1e9:F2} GB, "
        + $"{value.BytesDone / 1e9 / _loading.Elapsed.TotalSeconds:F2} GB/s"));

    void IProgress<ScoreProgress>.Report(ScoreProgress value) =>
        _status.Show(() => $"Scored {Readable.Plural(value.Texts, "text")}, {Rate(value)}{_left}{Saved(value)}");

    private static string Summary(RewardModel model, ScoreProgress done) => string.Create(CultureInfo.InvariantCulture,
        $"{Readable.Plural(done.Texts, "text")}, {Readable.Plural(done.Tokens, "token")} in {done.Elapsed.TotalSeconds:F1} s: "
        + $"{Rate(done)}{Saved(done)}; {Readable.Devices(model.Devices)}, {Readable.Name(model.Weights)} weights");

    private static string Describe(ComputeError error, ComputeMode compute)
    {
        string off = error.Texts == 1
            ? string.Create(CultureInfo.InvariantCulture, $"the first score is off by {error.Mean:G2}")
            : string.Create(
                CultureInfo.InvariantCulture,
                $"the first {error.Texts} scores are off by {error.Mean:G2} on average, {error.Largest:G2} at most");
        return $"{Readable.Name(compute)} compute: {off}, compared with exact products of the same weights";
    }

    private static string Rate(ScoreProgress done)
    {
        double rate = done.ComputedTokens / Math.Max(done.Elapsed.TotalSeconds, 1e-3);
        return $"{(rate < 10 ? rate.ToString("G2", CultureInfo.InvariantCulture) : Readable.Count((long)rate))} tokens/s computed";
    }

    private static string Saved(ScoreProgress done) => done.Tokens == done.ComputedTokens ? "" : string.Create(CultureInfo.InvariantCulture,
        $", {100.0 * (done.Tokens - done.ComputedTokens) / done.Tokens:F0} % saved by sharing");
}
