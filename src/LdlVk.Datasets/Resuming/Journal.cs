using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Files;
using LdlVk.Runtime.Files;

namespace LdlVk.Datasets.Resuming;

/// <summary>
/// The journal of a resumable output: a head with the run's settings, and entries, each of which says up to where the results are valid.
/// Every line has a checksum, which continues that of the line before it. The open journal locks the output against other runs.
/// </summary>
internal sealed class Journal : IDisposable
{
    private readonly FileStream _file;
    private readonly JournalHead _head;
    private readonly string _partial;
    private readonly Action<string>? _accept;
    private string _check;

    private Journal(FileStream file, JournalHead head, string partial, Action<string>? accept) =>
        (_file, _head, _partial, _accept, _check, Identity) = (file, head, partial, accept, SealOf(head).Check, head.Identity);

    /// <summary>What the results depend on: on several machines if one has continued what another began.</summary>
    public RunIdentity Identity { get; private set; }

    /// <summary>Opens a journal, or creates it, and locks it.</summary>
    /// <param name="path">The journal.</param>
    /// <param name="partial">The results, for messages.</param>
    /// <param name="head">What the run has to agree with.</param>
    /// <param name="accept">See <see cref="RunIdentity.Check"/>.</param>
    /// <exception cref="BusyException">Another run has the lock.</exception>
    public static Journal Open(string path, string partial, JournalHead head, Action<string>? accept)
    {
        FileStream file;
        try
        {
            file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (File.Exists(path))
        {
            throw TemporaryFile.InUse(partial, e);
        }

        // The run that had the lock may have finished and deleted the journal in between.
        if (FileIdentity.Of(file.SafeFileHandle) is { } opened && opened != FileIdentity.Of(path))
        {
            file.Dispose();
            throw TemporaryFile.InUse(partial, null);
        }

        return new Journal(file, head, partial, accept);
    }

    /// <summary>
    /// Reads the entries up to the last valid one, and removes the rest. A head with a wrong checksum is written again if the first entry
    /// shows that it was this run's.
    /// </summary>
    /// <param name="results">The results.</param>
    /// <param name="all">Receives the valid results.</param>
    /// <exception cref="UsageException">The journal is of other settings or of another part, or nobody can tell.</exception>
    public JournalEntry TakeUp(FileStream results, IncrementalHash all)
    {
        (byte[] head, string check) = SealOf(_head);
        JournalEntry last = JournalEntry.None;
        long end = 0;
        bool first = true, headIsRight = false;
        foreach (RawLine line in new LineReader(_file).Lines())
        {
            // A last line without line end is incomplete.
            long lineEnd = end + line.Bytes.Length + 1;
            if (lineEnd > _file.Length || line.Error is not null) break;
            if (first) headIsRight = CheckHead(line.Bytes.Span);
            else if (ReadEntry(line.Bytes.Span, last, results, all) is { } entry) last = entry;
            else break;
            (end, first) = (lineEnd, false);
        }

        if (!first && !headIsRight && last.Lines == 0 && results.Length > 0)
            throw new UsageException(
                $"{_file.Name} is damaged at its beginning, or from an earlier version, so that nobody can tell whose results "
                + $"{_partial} has. Delete both to score from the beginning.");
        if (headIsRight)
        {
            RunIdentity before = Identity;
            before.Check(_head.Identity, $"{_partial} was begun", "Use the same, or another output file.", _accept);
            Truncate(end);
            Identity = before.With(_head.Identity);
            if (before.Match(_head.Identity) != RunMatch.OtherMachine) return last;
            RunIdentity now = _head.Identity;
            last = last with { Sha256 = HashOf(results, 0, 0), Settings = now.Settings, Portable = now.Portable, Driver = now.Driver };
            Add(last);
            return last;
        }

        byte[] entries = [];
        if (last.Lines > 0)
        {
            long start = FirstLineLength();
            entries = new byte[end - start];
            _file.Position = start;
            _file.ReadExactly(entries);
        }
        else
        {
            _check = check;
        }

        Truncate(0);
        _file.Write([.. head, (byte)'\n', .. entries]);
        _file.Flush(flushToDisk: true);
        return last;
    }

    /// <summary>
    /// Checks that the journal is as this run left it. File systems that keep no locks between machines let a second run in; and a machine
    /// that was cut off from its file server has lost its lock.
    /// </summary>
    /// <exception cref="BusyException">Another run has taken the output over.</exception>
    public void CheckOwn()
    {
        FileIdentity? opened = FileIdentity.Of(_file.SafeFileHandle);
        bool isOurs = RandomAccess.GetLength(_file.SafeFileHandle) == _file.Position;
        if (isOurs && (opened is null || opened == FileIdentity.Of(_file.Name))) return;
        throw new BusyException(
            $"Another run has taken {_partial} over: its journal is not as this run left it. This run stops; the other one has what was "
            + "written before, and continues from there. This happens on file systems that do not lock files between machines, or after "
            + "this machine was cut off from them.");
    }

    /// <summary>Adds an entry, and flushes it to the disk.</summary>
    public void Add(JournalEntry entry)
    {
        (byte[] json, _check) = Sealed.Seal(JsonSerializer.SerializeToUtf8Bytes(entry, RunJson.Default.JournalEntry), _check);
        _file.Write([.. json, (byte)'\n']);
        _file.Flush(flushToDisk: true);
    }

    /// <summary>Removes everything, for a run that begins anew.</summary>
    public void Clear() => Truncate(0);

    /// <summary>Deletes the journal. The lock ends afterwards, where the system permits that.</summary>
    public void Delete()
    {
        if (OperatingSystem.IsWindows()) _file.Dispose();
        File.Delete(_file.Name);
        _file.Dispose();
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private static (byte[] Json, string Check) SealOf(JournalHead head) =>
        Sealed.Seal(JsonSerializer.SerializeToUtf8Bytes(head, RunJson.Default.JournalHead));

    private void Truncate(long length)
    {
        _file.SetLength(length);
        _file.Position = length;
    }

    private long FirstLineLength()
    {
        _file.Position = 0;
        return new LineReader(_file).Lines().First().Bytes.Length + 1;
    }

    private bool CheckHead(ReadOnlySpan<byte> line)
    {
        if (Sealed.Open(line) is not var (json, check) || Parse(json, RunJson.Default.JournalHead) is not { } head) return false;
        if (head.Shard != _head.Shard)
            throw new UsageException($"{_partial} is of part {head.Shard}, not {_head.Shard}. Give each part a file of its own.");
        // The entries continue the checksum of this head, which an earlier version may have written.
        (Identity, _check) = (head.Identity, check);
        return true;
    }

    private JournalEntry? ReadEntry(ReadOnlySpan<byte> line, JournalEntry last, FileStream results, IncrementalHash all)
    {
        if (Sealed.Open(line, _check) is not var (json, check)
            || Parse(json, RunJson.Default.JournalEntry) is not { Input: not null } entry
            || entry.Bytes < last.Bytes
            || entry.Bytes > results.Length
            || HashOf(results, last.Bytes, entry.Bytes) != entry.Sha256)
            return null;
        // The results are known to be valid now.
        Append(all, results, last.Bytes, entry.Bytes);
        _check = check;
        if (entry.Settings is { } other) Identity = Identity.With(new RunIdentity(other, entry.Portable, entry.Driver));
        return entry;
    }

    private static string HashOf(FileStream file, long start, long end)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Append(hash, file, start, end);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Append(IncrementalHash hash, FileStream file, long start, long end)
    {
        byte[] buffer = new byte[1 << 16];
        file.Position = start;
        for (long left = end - start; left > 0;)
        {
            int read = file.Read(buffer, 0, (int)Math.Min(buffer.Length, left));
            if (read == 0) return;
            hash.AppendData(buffer, 0, read);
            left -= read;
        }
    }

    private static T? Parse<T>(byte[] json, JsonTypeInfo<T> type) where T : class
    {
        try
        {
            return JsonSerializer.Deserialize(json, type);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
