using System.CommandLine;
using System.Security.Cryptography;
using LdlVk.Cli.Input;
using LdlVk.Cli.Options;
using LdlVk.Cli.Output;
using LdlVk.Runtime;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk merge</c>: the results of all parts, in the order of the input.</summary>
internal static class MergeCommand
{
    private const string Notes = """
        The parts are files of ldlvk score --shard, given in any order, each with its FILE.run.json beside it. Nothing is written unless
        they are all parts of one input, scored with the same settings, complete, and as they were written (SHA-256).
        """;

    public static Command Create(Terminal terminal)
    {
        Argument<string[]> parts = new("PART") { Description = "Files of results, one for each part.", Arity = ArgumentArity.OneOrMore };
        Option<string?> output = TextFlags.CreateOutput();
        Command command = new NotedCommand("merge", "Join the results of ldlvk score --shard.", Notes);
        command.Arguments.Add(parts);
        command.Options.Add(output);
        command.SetAction((call, cancellation) =>
        {
            Part[] all = [];
            try
            {
                all = Open(call.GetValue(parts)!, cancellation);
                using OutputFile file = OutputFile.Open(call.GetValue(output), output.Name, terminal);
                long lines = Merge(all, file.Stream);
                file.Complete();
                long failed = all.Sum(part => part.Record.Failed);
                terminal.Say($"{Readable.Plural(lines, "result")} of {Readable.Plural(all.Length, "part")}{(failed > 0 ? $", {failed} of them errors" : "")}.");
                return Task.FromResult(ExitCode.Success);
            }
            finally
            {
                foreach (Part part in all) part.Dispose();
            }
        });
        return command;
    }

    private static Part[] Open(string[] paths, CancellationToken cancellation)
    {
        (string Path, RunRecord Record)[] records = [.. paths.Select(path => (path, File.Exists(path)
            ? RunRecord.Read(path) ?? throw new UsageException($"{path} has no {RunRecord.Suffix} beside it: it was not written by ldlvk score --shard, or not to its end. Run that again with --resume.")
            : throw new UsageException($"There is no file {path}."))).OrderBy(part => part.Item2.Shard)];
        (string firstPath, RunRecord first) = records[0];
        foreach ((string path, RunRecord record) in records)
        {
            if (record.InputSha256 != first.InputSha256 || record.InputLines != first.InputLines) throw new UsageException($"{path} and {firstPath} are of different inputs.");
            if (record.Settings != first.Settings) throw new UsageException($"{path} and {firstPath} were scored with different settings ({record.Settings}; {first.Settings}).");
            if (record.Shards != first.Shards) throw new UsageException($"{path} is one of {record.Shards} parts, {firstPath} one of {first.Shards}.");
        }

        int[] missing = [.. Enumerable.Range(0, first.Shards).Except(records.Select(part => part.Record.Shard))];
        if (missing.Length > 0) throw new UsageException($"Of {first.Shards} parts {string.Join(", ", missing.Take(8))}{(missing.Length > 8 ? ", …" : "")} {(missing.Length == 1 ? "is" : "are")} missing (counted from 0).");
        if (records.CountBy(part => part.Record.Shard).FirstOrDefault(n => n.Value > 1) is { Value: > 1 } twice) throw new UsageException($"Part {twice.Key}/{first.Shards} is there {twice.Value} times.");
        List<Part> open = [];
        try
        {
            foreach ((string path, RunRecord record) in records) open.Add(new Part(path, record, cancellation));
            return [.. open];
        }
        catch
        {
            foreach (Part part in open) part.Dispose();
            throw;
        }
    }

    private static long Merge(Part[] parts, Stream output)
    {
        long lines = parts[0].Record.InputLines;
        for (long line = 0; line < lines; line++) parts[line / Shard.BlockLines % parts.Length].CopyLine(output);
        foreach (Part part in parts) part.CheckEnd();
        return lines;
    }

    /// <summary>A file of results that is read to its end, and must be what its record says.</summary>
    private sealed class Part : IDisposable
    {
        private readonly string _path;
        private readonly FileStream _file;
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        private readonly IEnumerator<RawLine> _lines;

        public Part(string path, RunRecord record, CancellationToken cancellation)
        {
            (_path, Record) = (path, record);
            _file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            _lines = new LineReader(_file, cancellation).Lines().GetEnumerator();
        }

        public RunRecord Record { get; }

        public void CopyLine(Stream output)
        {
            if (!_lines.MoveNext() || _lines.Current.TooLong) throw Damaged();
            ReadOnlySpan<byte> line = _lines.Current.Bytes.Span;
            _hash.AppendData(line);
            _hash.AppendData("\n"u8);
            output.Write(line);
            output.Write("\n"u8);
        }

        public void CheckEnd()
        {
            if (_lines.MoveNext() || _file.Length != Record.Bytes || Convert.ToHexStringLower(_hash.GetHashAndReset()) != Record.Sha256) throw Damaged();
        }

        public void Dispose()
        {
            _lines.Dispose();
            _hash.Dispose();
            _file.Dispose();
        }

        private UsageException Damaged() => new($"{_path} is not as it was written: its lines or their checksum differ from {_path + RunRecord.Suffix}. Score this part again.");
    }
}
