using LdlVk.Datasets.Lines;
using LdlVk.Datasets.Tables;

namespace LdlVk.Datasets.Resuming;

/// <summary>
/// Joins the results of all parts of an input in its order. It verifies that they are all parts of one input, scored with the same
/// settings, complete and unchanged (SHA-256).
/// </summary>
public sealed class PartialResults
{
    /// <summary>Maximum number of missing parts that are named.</summary>
    private const int MaxNamed = 8;

    private readonly (string Path, RunRecord Record)[] _parts;

    private PartialResults((string Path, RunRecord Record)[] parts) => _parts = parts;

    /// <summary>Number of parts.</summary>
    public int Count => _parts.Length;

    /// <summary>Number of results that are errors.</summary>
    public long Failed => _parts.Sum(part => part.Record.Failed);

    /// <summary>Reads the records of all parts, and checks that they belong together.</summary>
    /// <param name="paths">The files, in any order, each with its record beside it.</param>
    /// <param name="accept">Called with the difference if several machines scored the parts; null if such parts are refused.</param>
    /// <exception cref="UsageException">The files do not belong together, or one is missing or damaged.</exception>
    public static PartialResults Open(IReadOnlyList<string> paths, Action<string>? accept = null)
    {
        (string Path, RunRecord Record)[] records = [.. paths.Select(path => (path, File.Exists(path)
            ? RunRecord.Read(path)
                ?? throw new UsageException(
                    $"{path} has no {RunRecord.Suffix} beside it: it is not a complete part of a dataset. "
                    + $"Score that part again, or resume it.")
            : throw new UsageException($"There is no file {path}."))).OrderBy(part => part.Item2.Shard)];
        CheckTogether(records, accept);
        return new PartialResults(records);
    }

    /// <summary>
    /// Writes all results in the order of the input. Memory does not grow with the parts or their lines. Tables are joined to a table.
    /// </summary>
    /// <param name="output">Receives the results.</param>
    /// <param name="cancellationToken">Cancels the merge.</param>
    /// <returns>The number of results.</returns>
    /// <exception cref="UsageException">A part has been changed.</exception>
    public long Merge(OutputFile output, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(output);
        using PartFiles files = new(_parts);
        if (output.IsTable) files.ExpandTables(output.OpenBeside, cancellationToken);
        else if (_parts.FirstOrDefault(part => PartFiles.IsTable(part.Path)).Path is { } table)
            throw new UsageException(
                $"{table} is Parquet, from which no lines are made. Give a name that ends with {ResultTable.Extension}.");
        else if (!output.IsHidden) files.CheckUnchanged(cancellationToken);
        long lines = _parts[0].Record.InputLines;
        for (long line = 0; line < lines; line += Shard.BlockLines)
        {
            int part = (int)(line / Shard.BlockLines % _parts.Length);
            files.Copy(part, Math.Min(Shard.BlockLines, lines - line), output.Stream, cancellationToken);
        }

        files.CheckEnd();
        return lines;
    }

    /// <summary>
    /// Compares each part with the first whose driver is recorded, so that a part of an earlier version does not hide that two others
    /// differ.
    /// </summary>
    private static void CheckMachines((string Path, RunRecord Record)[] records, Action<string>? accept)
    {
        (string firstPath, RunRecord first) = records.FirstOrDefault(part => part.Record.Driver is not null, records[0]);
        foreach ((string path, RunRecord record) in records)
        {
            if (record.Identity.Match(first.Identity) == RunMatch.Same) continue;
            RunIdentity.Accept(
                $"{path} and {firstPath} were scored on different kinds of devices, with different drivers or by different versions "
                + $"({record.Identity.Difference(first.Identity)})",
                accept);
            return;
        }
    }

    private static void CheckTogether((string Path, RunRecord Record)[] records, Action<string>? accept)
    {
        (string firstPath, RunRecord first) = records[0];
        foreach ((string path, RunRecord record) in records)
        {
            if (record.InputSha256 != first.InputSha256 || record.InputLines != first.InputLines)
                throw new UsageException($"{path} and {firstPath} are of different inputs.");
            if (record.Identity.Match(first.Identity) == RunMatch.Different)
                throw new UsageException(
                    $"{path} and {firstPath} were scored with different settings ({record.Identity.Difference(first.Identity)}).");
            if (record.Shards != first.Shards)
                throw new UsageException($"{path} is one of {record.Shards} parts, {firstPath} one of {first.Shards}.");
        }

        CheckMachines(records, accept);
        // The number of parts is a claim of the records: nothing is allocated by it.
        if (records.CountBy(part => part.Record.Shard).FirstOrDefault(n => n.Value > 1) is { Value: > 1 } twice)
            throw new UsageException($"Part {twice.Key}/{first.Shards} is there {twice.Value} times.");
        int missing = first.Shards - records.Length;
        if (missing == 0) return;
        HashSet<int> there = [.. records.Select(part => part.Record.Shard)];
        IEnumerable<int> some = Enumerable.Range(0, first.Shards).Where(part => !there.Contains(part)).Take(MaxNamed);
        throw new UsageException(
            $"Of {first.Shards} parts {string.Join(", ", some)}{(missing > MaxNamed ? ", …" : "")} "
            + $"{(missing == 1 ? "is" : "are")} missing (counted from 0).");
    }
}
