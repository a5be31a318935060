using System.CommandLine;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Lines;
using LdlVk.Datasets.Resuming;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk score</c> with --resume or --shard: resumable scoring of all lines of a dataset, or of one part of them.</summary>
internal sealed class DatasetRun(
    ParseResult call, ModelFlags model, TextFlags texts, string? given, ResumeFlags flags, bool details, TextPreview preview,
    Terminal terminal)
{
    /// <summary>Scores the lines that have no result yet.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        if (given is null or "-") throw new UsageException("--resume and --shard need a file for the results: add --output FILE.");
        Shard shard = flags.Shard(call);
        bool resume = flags.Resumes(call);
        Action<string> accept = flags.AcceptsMachine(call, terminal);
        string output = ResumableFile.Resolve(given);
        using LineSource source = texts.Open(call, terminal, cancellationToken);
        if (!source.IsFile) throw new UsageException("--resume and --shard are for many texts: give --input FILE.jsonl.");
        RunSettings settings = RunSettings.Of(call, model, details);
        if (resume && ResumableFile.Finished(output, settings.Identity, shard, accept) is { } finished)
            return AlreadyDone(output, source, finished);
        ResumableFile.CheckNotRunning(output, $"--output {given}");
        if (!resume && ResumableFile.IsUnfinished(output))
            throw new UsageException(
                $"{ResumableFile.Unfinished(output)} Add --resume to continue it, or delete {output}.partial and {output}.journal.");
        using ResumableFile file = ResumableFile.Open(output, settings.Identity, shard, resume,
            (lines, path) => terminal.Say($"{Terminal.Kept(lines, path)}: the same command with --resume continues from there."), accept);
        (ScoringRun run, RewardModel loaded) = await ScoringRun.LoadAsync(
            call, model, terminal, settings.Options, cancellationToken).ConfigureAwait(false);
        using (loaded)
        {
            settings.Check(loaded);
            long before = file.Failed;
            if (file.Lines > 0 && !call.GetValue(model.Quiet))
                terminal.Say($"{Readable.Plural(file.Lines, "result")} {(file.Lines == 1 ? "is" : "are")} already there.");
            ResultWriter result = new(file.Stream);
            int code = await run.ScoreAsync(loaded, preview.Show(source.Lines(shard, file.Lines, file.InputDigest), loaded), line =>
            {
                result.Write(line, details);
                file.Wrote(line);
            }, cancellationToken).ConfigureAwait(false);
            file.Complete(source.Digest, shard, cancellationToken);
            return before > 0 ? ExitCode.SomeFailed : code;
        }
    }

    private int AlreadyDone(string output, LineSource source, RunRecord record)
    {
        foreach (RawLine line in source.RawLines()) source.Digest.Add(line);
        if (source.Digest.Lines != record.InputLines || source.Digest.Value != record.InputSha256)
            throw new UsageException(
                $"{output} has the results of other lines than those of --input. Give another --output, or delete it.");
        if (!call.GetValue(model.Quiet)) terminal.Say($"{output} is complete: {Readable.Plural(record.Lines, "result")}.");
        return record.Failed > 0 ? ExitCode.SomeFailed : ExitCode.Success;
    }
}
