using System.Security.Cryptography;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Lines;

namespace LdlVk.Datasets.Resuming;

/// <summary>
/// Joins the results of all parts of an input in its order. It verifies that they are all parts of one input, scored with the same
/// settings, complete and unchanged (SHA-256).
/// </summary>
public sealed class PartialResults : IDisposable
{
    private readonly Part[] _parts;

    private PartialResults(Part[] parts) => _parts = parts;

    /// <summary>Number of parts.</summary>
    public int Count => _parts.Length;

    /// <summary>Number of results that are errors.</summary>
    public long Failed => _parts.Sum(part => part.Record.Failed);

    /// <summary>Opens the result files of all parts.</summary>
    /// <param name="paths">The files, in any order, each with its record beside it.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="UsageException">The files do not belong together, or one is missing or damaged.</exception>
    public static PartialResults Open(IReadOnlyList<string> paths, CancellationToken cancellationToken = default) =>
        new(OpenParts(paths, cancellationToken));

    /// <summary>Writes all results in the order of the input.</summary>
    /// <returns>The number of results.</returns>
    /// <exception cref="UsageException">A part has been changed.</exception>
    public long Merge(Stream output)
    {
        ArgumentNullException.ThrowIfNull(output);
        long lines = _parts[0].Record.InputLines;
        for (long line = 0; line < lines; line++) _parts[line / Shard.BlockLines % _parts.Length].CopyLine(output);
        foreach (Part part in _parts) part.CheckEnd();
        return lines;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Part part in _parts) part.Dispose();
    }

    private static Part[] OpenParts(IReadOnlyList<string> paths, CancellationToken cancellationToken)
    {
        (string Path, RunRecord Record)[] records = [.. paths.Select(path => (path, File.Exists(path)
            ? RunRecord.Read(path)
                ?? throw new UsageException(
                    $"{path} has no {RunRecord.Suffix} beside it: it is not a complete part of a dataset. "
                    + $"Score that part again, or resume it.")
            : throw new UsageException($"There is no file {path}."))).OrderBy(part => part.Item2.Shard)];
        (string firstPath, RunRecord first) = records[0];
        foreach ((string path, RunRecord record) in records)
        {
            if (record.InputSha256 != first.InputSha256 || record.InputLines != first.InputLines)
                throw new UsageException($"{path} and {firstPath} are of different inputs.");
            if (record.Settings != first.Settings)
                throw new UsageException(
                    $"{path} and {firstPath} were scored with different settings ({record.Settings}; {first.Settings}).");
            if (record.Shards != first.Shards)
                throw new UsageException($"{path} is one of {record.Shards} parts, {firstPath} one of {first.Shards}.");
        }

        int[] missing = [.. Enumerable.Range(0, first.Shards).Except(records.Select(part => part.Record.Shard))];
        if (missing.Length > 0)
            throw new UsageException(
                $"Of {first.Shards} parts {string.Join(", ", missing.Take(8))}{(missing.Length > 8 ? ", …" : "")} "
                + $"{(missing.Length == 1 ? "is" : "are")} missing (counted from 0).");
        if (records.CountBy(part => part.Record.Shard).FirstOrDefault(n => n.Value > 1) is { Value: > 1 } twice)
            throw new UsageException($"Part {twice.Key}/{first.Shards} is there {twice.Value} times.");
        List<Part> open = [];
        try
        {
            foreach ((string path, RunRecord record) in records) open.Add(new Part(path, record, cancellationToken));
            return [.. open];
        }
        catch
        {
            foreach (Part part in open) part.Dispose();
            throw;
        }
    }

    /// <summary>A result file that is read to its end and verified against its record.</summary>
    private sealed class Part : IDisposable
    {
        private readonly string _path;
        private readonly FileStream _file;
        private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        private readonly IEnumerator<RawLine> _lines;

        public Part(string path, RunRecord record, CancellationToken cancellationToken)
        {
            (_path, Record) = (path, record);
            _file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            _lines = new LineReader(_file, cancellationToken).Lines().GetEnumerator();
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
            if (_lines.MoveNext() || _file.Length != Record.Bytes || Convert.ToHexStringLower(_hash.GetHashAndReset()) != Record.Sha256)
                throw Damaged();
        }

        public void Dispose()
        {
            _lines.Dispose();
            _hash.Dispose();
            _file.Dispose();
        }

        private UsageException Damaged() =>
            new(
                $"{_path} has been changed: its lines or their checksum differ from {_path + RunRecord.Suffix}. "
                + $"Score this part again.");
    }
}
