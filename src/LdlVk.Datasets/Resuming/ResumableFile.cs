using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Files;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Files;

namespace LdlVk.Datasets.Resuming;

/// <summary>
/// A result file that an interrupted run can continue. Results are appended to FILE.partial. About every second they are flushed to disk,
/// and FILE.journal gets an entry with their number, their checksum and that of the corresponding input. The next run keeps the results up
/// to the last entry with a correct checksum, truncates the rest, and continues there. Because scores are bitwise reproducible, the final
/// file is the same as without the interruption. At the end it gets its name, and FILE.run.json describes it.
/// </summary>
public sealed class ResumableFile : IDisposable
{
    private const string PartialSuffix = ".partial", JournalSuffix = ".journal", TemporarySuffix = ".tmp";

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly string _path;
    private readonly Action<long, string> _kept;
    private readonly JournalHead _head;
    private readonly FileStream _journal, _results;
    private readonly IncrementalHash _all = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly IncrementalHash _piece = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly Stopwatch _sinceEntry = Stopwatch.StartNew();
    private JournalEntry _entry = new(0, 0, 0, "", "");
    private long _lines, _linesBefore, _failed, _bytes;
    private string _input = "";
    private bool _complete;

    private ResumableFile(string path, JournalHead head, FileStream journal, FileStream results, Action<long, string> kept)
    {
        (_path, _head, _journal, _results, _kept) = (path, head, journal, results, kept);
        Stream = new Appended(this);
    }

    /// <summary>The stream for results; each write has whole lines.</summary>
    public Stream Stream { get; }

    /// <summary>Number of existing results.</summary>
    public long Lines => _lines;

    /// <summary>Number of existing results that are errors.</summary>
    public long Failed => _failed;

    /// <summary>Digest of the input up to the last line that has a result; empty if there is none.</summary>
    public string InputDigest => _input;

    /// <summary>Whether an unfinished run has written this file.</summary>
    public static bool IsUnfinished(string path) => File.Exists(path + JournalSuffix);

    /// <summary>Returns the sentence that reports an unfinished run.</summary>
    public static string Unfinished(string path) => $"{path + PartialSuffix} holds results of a run that did not finish.";

    /// <summary>Returns the sentence that tells what to do about an unfinished run.</summary>
    public static string ResumeOrDelete(string path) => $"Resume it, or delete {path + PartialSuffix} and {path + JournalSuffix}.";

    /// <summary>Returns the names of the other files that are written with a resumable output of this name.</summary>
    public static IEnumerable<string> FilesBeside(string path)
    {
        string final = OutputPath.Resolve(path);
        string record = final + RunRecord.Suffix;
        return [final + PartialSuffix, final + JournalSuffix, record, record + TemporarySuffix];
    }

    /// <summary>Returns the path of a resumable output, without links.</summary>
    /// <exception cref="UsageException">The output, or a file that is written with it, is not a regular file.</exception>
    public static string Resolve(string path)
    {
        string final = OutputPath.Resolve(path);
        if (OutputPath.Descriptor(path) is not null || FileIdentity.Of(final)?.Kind == FileKind.Device)
            throw new UsageException($"{path} is a device or a pipe, which cannot be continued. Write to a file.");
        if (final.Length == 0 || Directory.Exists(final))
            throw new UsageException($"'{path}' is not a file name. Give the name of a file.");
        foreach (string other in FilesBeside(final)) OwnFile.Check(other);
        return final;
    }

    /// <summary>Returns the record of a finished run with the same settings; null if there is work left.</summary>
    /// <exception cref="UsageException">The record is damaged.</exception>
    public static RunRecord? Finished(string path, string settings, Shard shard)
    {
        if (RunRecord.Read(path) is not { } record
            || !File.Exists(path)
            || new FileInfo(path).Length != record.Bytes
            || File.Exists(path + PartialSuffix))
            return null;
        return record.Settings == settings && record.Shard == shard.Index && record.Shards == shard.Count ? record : null;
    }

    /// <summary>Opens a result file to continue, or a new one.</summary>
    /// <param name="path">The result file.</param>
    /// <param name="settings">The settings that the results depend on.</param>
    /// <param name="shard">Part of the input.</param>
    /// <param name="resume">Whether an unfinished file is continued.</param>
    /// <param name="kept">Called with the number of results that an interrupted run keeps, and their file.</param>
    /// <exception cref="UsageException">The file belongs to another run, or cannot be written.</exception>
    public static ResumableFile Open(string path, string settings, Shard shard, bool resume, Action<long, string> kept)
    {
        string partial = path + PartialSuffix, journalPath = path + JournalSuffix;
        if (!resume && IsUnfinished(path))
            throw new UsageException($"{Unfinished(path)} {ResumeOrDelete(path)}");
        JournalHead head = new(settings, shard.ToString());
        FileStream? journal = null, results = null;
        try
        {
            // The open journal locks the file against other runs.
            journal = new FileStream(journalPath, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            results = new FileStream(partial, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
            ResumableFile file = new(path, head, journal, results, kept);
            file.TakeUp();
            return file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            results?.Dispose();
            journal?.Dispose();
            throw new UsageException($"The output {path} cannot be written: {e.Message}", e);
        }
        catch
        {
            results?.Dispose();
            journal?.Dispose();
            throw;
        }
    }

    /// <summary>Records that a line's result is written.</summary>
    public void Wrote(ScoredLine line)
    {
        _lines++;
        if (line.Error is not null) _failed++;
        _input = line.Line.Digest;
        if (_sinceEntry.Elapsed >= Interval) Keep();
    }

    /// <summary>Completes the file: gives it its name.</summary>
    public void Complete(LineDigest input, Shard shard)
    {
        Keep();
        _journal.Dispose();
        _results.Dispose();
        RunRecord record = new(
            _head.Settings,
            shard.Index,
            shard.Count,
            input.Lines,
            input.Value,
            _lines,
            _failed,
            _bytes,
            Convert.ToHexStringLower(_all.GetHashAndReset()));
        // If the run ends before the renaming, the next run finds no lines to score and repeats these steps. After the renaming, the file
        // is
        // complete.
        WriteRecord(record);
        File.Move(_path + PartialSuffix, _path, overwrite: true);
        File.Delete(_path + JournalSuffix);
        _complete = true;
    }

    /// <summary>Keeps the results for the next run.</summary>
    public void Dispose()
    {
        if (!_complete) KeepForNextRun();
        _results.Dispose();
        _journal.Dispose();
        _all.Dispose();
        _piece.Dispose();
    }

    private void KeepForNextRun()
    {
        try
        {
            Keep();
            if (_lines > _linesBefore) _kept(_lines, _path + PartialSuffix);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
        {
            // The exception in flight is the one to report. The journal has the valid state.
        }
    }

    /// <summary>Flushes results to disk, and then adds their journal entry.</summary>
    internal void Keep()
    {
        _sinceEntry.Restart();
        if (_lines == _entry.Lines) return;
        _results.Flush(flushToDisk: true);
        _entry = new JournalEntry(_lines, _failed, _bytes, _input, Convert.ToHexStringLower(_piece.GetHashAndReset()));
        WriteLine(JsonSerializer.SerializeToUtf8Bytes(_entry, RunJson.Default.JournalEntry));
    }

    private void WriteLine(byte[] json)
    {
        _journal.Write([.. json, (byte)'\n']);
        _journal.Flush(flushToDisk: true);
    }

    /// <summary>Finds the last entry whose results are unchanged, and truncates the files behind it.</summary>
    private void TakeUp()
    {
        long journalEnd = 0;
        bool first = true;
        foreach (RawLine line in new LineReader(_journal, CancellationToken.None).Lines())
        {
            // A last line without line end is incomplete.
            long end = journalEnd + line.Bytes.Length + 1;
            if (end > _journal.Length || !(first ? IsHead(line) : IsRight(line))) break;
            (journalEnd, first) = (end, false);
        }

        (_lines, _linesBefore, _failed, _bytes, _input) = (_entry.Lines, _entry.Lines, _entry.Failed, _entry.Bytes, _entry.Input);
        _results.SetLength(_bytes);
        _results.Position = _bytes;
        _journal.SetLength(journalEnd);
        _journal.Position = journalEnd;
        if (journalEnd == 0) WriteLine(JsonSerializer.SerializeToUtf8Bytes(_head, RunJson.Default.JournalHead));
    }

    private bool IsHead(RawLine line)
    {
        if (Parse(line, RunJson.Default.JournalHead) is not { } head) return false;
        if (head.Shard != _head.Shard)
            throw new UsageException(
                $"{_path + PartialSuffix} is of part {head.Shard}, not {_head.Shard}. Give each part a file of its own.");
        if (head.Settings != _head.Settings)
            throw new UsageException(
                $"{_path + PartialSuffix} was begun with other settings ({head.Settings}; now {_head.Settings}). "
                + $"Use the same, or another output file.");
        return true;
    }

    private bool IsRight(RawLine line)
    {
        if (Parse(line, RunJson.Default.JournalEntry) is not { Input: not null } entry
            || entry.Bytes < _entry.Bytes
            || entry.Bytes > _results.Length)
            return false;
        byte[] buffer = new byte[1 << 16];
        _results.Position = _entry.Bytes;
        for (long left = entry.Bytes - _entry.Bytes; left > 0;)
        {
            int read = _results.Read(buffer, 0, (int)Math.Min(buffer.Length, left));
            if (read == 0) return false;
            _piece.AppendData(buffer, 0, read);
            left -= read;
        }

        if (Convert.ToHexStringLower(_piece.GetHashAndReset()) != entry.Sha256) return false;
        // Added to the checksum of the whole file, now that the results are known to be valid.
        _results.Position = _entry.Bytes;
        for (long left = entry.Bytes - _entry.Bytes; left > 0;)
        {
            int read = _results.Read(buffer, 0, (int)Math.Min(buffer.Length, left));
            _all.AppendData(buffer, 0, read);
            left -= read;
        }

        _entry = entry;
        return true;
    }

    private static T? Parse<T>(RawLine line, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type) where T : class
    {
        try
        {
            return line.TooLong ? null : JsonSerializer.Deserialize(line.Bytes.Span, type);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private void WriteRecord(RunRecord record)
    {
        string path = _path + RunRecord.Suffix;
        using (FileStream file = new(path + TemporarySuffix, FileMode.Create, FileAccess.Write))
        {
            file.Write(record.ToJson());
            file.Flush(flushToDisk: true);
        }

        File.Move(path + TemporarySuffix, path, overwrite: true);
    }

    /// <summary>A stream that appends to the results and updates the checksums.</summary>
    private sealed class Appended(ResumableFile file) : Stream
    {
        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            file._results.Write(buffer);
            file._all.AppendData(buffer);
            file._piece.AppendData(buffer);
            file._bytes += buffer.Length;
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush() => file._results.Flush();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
