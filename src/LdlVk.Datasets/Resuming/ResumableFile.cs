using System.Diagnostics;
using System.Security.Cryptography;
using LdlVk.Datasets.Files;
using LdlVk.Datasets.Lines;
using LdlVk.Datasets.Tables;
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
    private readonly Journal _journal;
    private readonly FileStream _results;
    private readonly IncrementalHash _all = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly IncrementalHash _piece = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly Stopwatch _sinceEntry = Stopwatch.StartNew();
    private JournalEntry _entry = JournalEntry.None;
    private long _lines, _linesBefore, _failed, _bytes;
    private string _input = "";
    private ReadOnlyMemory<byte> _digest;
    private bool _complete;

    private ResumableFile(string path, Journal journal, FileStream results, Action<long, string> kept)
    {
        (_path, _journal, _results, _kept) = (path, journal, results, kept);
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
    public static bool IsUnfinished(string path) => File.Exists(path + JournalSuffix) && File.Exists(path + PartialSuffix);

    /// <summary>Checks that no resumable run writes this file now.</summary>
    /// <param name="path">The file.</param>
    /// <param name="output">The user's name of it.</param>
    /// <exception cref="BusyException">There is such a run.</exception>
    public static void CheckNotRunning(string path, string output)
    {
        if (!File.Exists(path + JournalSuffix)) return;
        try
        {
            new FileStream(path + JournalSuffix, FileMode.Open, FileAccess.ReadWrite, FileShare.None).Dispose();
        }
        catch (IOException e) when (File.Exists(path + JournalSuffix))
        {
            throw TemporaryFile.InUse(output, e);
        }
        catch (FileNotFoundException)
        {
            // The run has just finished.
        }
    }

    /// <summary>Checks that no run writes this file, and that none is to be continued.</summary>
    /// <param name="path">The file.</param>
    /// <param name="output">The user's name of it.</param>
    /// <exception cref="UsageException">One is to be continued.</exception>
    /// <exception cref="BusyException">One writes this file.</exception>
    public static void CheckUnused(string path, string output)
    {
        CheckNotRunning(path, output);
        if (IsUnfinished(path)) throw new UsageException($"{output}: {Unfinished(path)} {ResumeOrDelete(path)}");
    }

    /// <summary>Returns the sentence that reports an unfinished run.</summary>
    public static string Unfinished(string path) => $"{path + PartialSuffix} holds results of a run that did not finish.";

    /// <summary>Returns the sentence that tells what to do about an unfinished run.</summary>
    public static string ResumeOrDelete(string path) => $"Resume it, or delete {path + PartialSuffix} and {path + JournalSuffix}.";

    /// <summary>Returns the names of the other files that are written with a resumable output of this name.</summary>
    public static IEnumerable<string> FilesBeside(string path)
    {
        string final = OutputPath.Resolve(path);
        string record = final + RunRecord.Suffix;
        return [final + PartialSuffix, final + JournalSuffix, record, record + TemporarySuffix, .. TableFile.FilesBeside(final)];
    }

    /// <summary>Returns the path of a resumable output, without links.</summary>
    /// <exception cref="UsageException">The output, or a file that is written with it, is not a regular file.</exception>
    public static string Resolve(string path)
    {
        string final = OutputPath.Resolve(path);
        if (OutputPath.Descriptor(path) is not null || FileIdentity.Of(final)?.Kind == FileKind.Device)
            throw new UsageException($"{path} is a device or a pipe, which cannot be continued. Write to a file.");
        if (final.Length == 0 || Directory.Exists(final) || Path.EndsInDirectorySeparator(path))
            throw new UsageException($"'{path}' is not a file name. Give the name of a file.");
        if (!Directory.Exists(Path.GetDirectoryName(final)))
            throw new UsageException($"{path}: there is no folder {Path.GetDirectoryName(final)}. Create it first.");
        ResultTable.Check(path, final);
        foreach (string other in FilesBeside(final)) OwnFile.Check(other);
        return final;
    }

    /// <summary>
    /// Returns the record of a finished run with the same settings; null if there is work left. Reads the results and compares them with
    /// the record.
    /// </summary>
    /// <param name="path">The result file.</param>
    /// <param name="run">What the results of this run depend on.</param>
    /// <param name="shard">Part of the input.</param>
    /// <param name="accept">Called with the difference if another machine scored the file; null if it is refused.</param>
    /// <exception cref="UsageException">
    /// The file is there and is not the result of such a run: it has other settings, is another part, has been changed, or has no record.
    /// </exception>
    public static RunRecord? Finished(string path, RunIdentity run, Shard shard, Action<string>? accept = null)
    {
        if (File.Exists(path + PartialSuffix) || !File.Exists(path)) return null;
        if (RunRecord.Read(path) is not { } record)
            throw new UsageException(
                $"{path} is there, and without {path + RunRecord.Suffix}: it is not of a run that can be resumed. "
                + "Move it away, or write to another file.");
        if (record.Shard != shard.Index || record.Shards != shard.Count)
            throw new UsageException(
                $"{path} is complete and is part {new Shard(record.Shard, record.Shards)}, not {shard}. Give each part a file of its own.");
        record.Identity.Check(run, $"{path} is complete and was scored", "Use the same, or write to another file.", accept);
        using FileStream results = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        if (results.Length != record.Bytes || Convert.ToHexStringLower(SHA256.HashData(results)) != record.Sha256)
            throw new UsageException(
                $"{path} has been changed since it was completed: its checksum is not that of {path + RunRecord.Suffix}. "
                + "Move it away, and score again.");
        DeleteJournal(path);
        return record;
    }

    /// <summary>Opens a result file to continue, or a new one.</summary>
    /// <param name="path">The result file.</param>
    /// <param name="run">What the results of this run depend on.</param>
    /// <param name="shard">Part of the input.</param>
    /// <param name="resume">Whether an unfinished file is continued.</param>
    /// <param name="kept">Called with the number of results that an interrupted run keeps, and their file.</param>
    /// <param name="accept">Called with the difference if another machine began the file; null if it is refused.</param>
    /// <exception cref="UsageException">The file belongs to another run, or cannot be written.</exception>
    /// <exception cref="BusyException">Another run writes it now.</exception>
    public static ResumableFile Open(
        string path, RunIdentity run, Shard shard, bool resume, Action<long, string> kept, Action<string>? accept = null)
    {
        string partial = path + PartialSuffix, journalPath = path + JournalSuffix;
        if (!resume && IsUnfinished(path)) throw new UsageException($"{Unfinished(path)} {ResumeOrDelete(path)}");
        if (!File.Exists(journalPath) && new FileInfo(partial) is { Exists: true, Length: > 0 })
            throw new UsageException(
                $"{partial} has results of a run that cannot be resumed: there is no {journalPath}. "
                + "Move it away, or write to another file.");
        Journal? journal = null;
        FileStream? results = null;
        try
        {
            JournalHead head = new(run.Settings, shard.ToString(), run.Portable, run.Driver);
            journal = Journal.Open(journalPath, path, head, accept);
            TemporaryFile.CheckUnused(path);
            results = new FileStream(partial, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
            if (!resume) journal.Clear();
            ResumableFile file = new(path, journal, results, kept);
            file.TakeUp();
            return file;
        }
        catch (Exception e)
        {
            results?.Dispose();
            journal?.Dispose();
            if (e is IOException or UnauthorizedAccessException)
                throw new UsageException($"The output {path} cannot be written: {e.Message}", e);
            throw;
        }
    }

    /// <summary>Records that a line's result is written.</summary>
    /// <exception cref="BusyException">Another run has taken the file over.</exception>
    public void Wrote(ScoredLine line)
    {
        _lines++;
        if (line.Error is not null) _failed++;
        _digest = line.Line.Digest;
        if (_sinceEntry.Elapsed >= Interval) Keep();
    }

    /// <summary>Completes the file: writes the table if it is one, and gives it its name.</summary>
    /// <param name="input">The digest of the input.</param>
    /// <param name="shard">Part of the input.</param>
    /// <param name="cancellationToken">Cancels the writing of a table. The next run finds no lines to score, and writes it.</param>
    /// <exception cref="BusyException">Another run has taken the file over.</exception>
    public void Complete(LineDigest input, Shard shard, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(input);
        Keep();
        _journal.CheckOwn();
        TableFile? table = ResultTable.IsTable(_path) ? TableFile.Write(_results, shard, _path, cancellationToken) : null;
        if (table is not null) _journal.CheckOwn();
        RunRecord record = new(
            _journal.Identity.Settings,
            shard.Index,
            shard.Count,
            input.Lines,
            input.Value,
            _lines,
            _failed,
            table?.Bytes ?? _bytes,
            table?.Sha256 ?? Convert.ToHexStringLower(_all.GetHashAndReset()),
            _journal.Identity.Portable,
            _journal.Identity.Driver);
        // If the run ends before the renaming, the next run finds no lines to score and repeats these steps. After the renaming, the file
        // is complete; with a table, after the lines are deleted.
        WriteRecord(record);
        if (table is null)
        {
            if (OperatingSystem.IsWindows()) _results.Dispose();
            FolderSync.Move(_path + PartialSuffix, _path);
            _results.Dispose();
        }
        else
        {
            _results.Dispose();
            table.Rename();
            File.Delete(_path + PartialSuffix);
        }

        _journal.Delete();
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
            try
            {
                Keep();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException || FileLimit.IsExceeded(e))
            {
                // The exception in flight is the one to report. What the last entry has is kept, as on a disk that is full.
            }

            if (_entry.Lines > _linesBefore) _kept(_entry.Lines, _path + PartialSuffix);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // Nobody reads the note, or the run ended before the files were open.
        }
        catch (BusyException)
        {
            // What this run still had belongs to nobody: the other run computes it itself.
        }
    }

    /// <summary>Flushes results to disk, and then adds their journal entry.</summary>
    internal void Keep()
    {
        _sinceEntry.Restart();
        if (_lines == _entry.Lines) return;
        _journal.CheckOwn();
        _results.Flush(flushToDisk: true);
        _input = Convert.ToHexStringLower(_digest.Span);
        JournalEntry entry = new(_lines, _failed, _bytes, _input, Convert.ToHexStringLower(_piece.GetCurrentHash()));
        _journal.Add(entry);
        _entry = entry;
        _piece.GetHashAndReset();
    }

    /// <summary>Continues at the last entry whose results are unchanged.</summary>
    private void TakeUp()
    {
        _entry = _journal.TakeUp(_results, _all);
        (_lines, _linesBefore, _failed, _bytes, _input) = (_entry.Lines, _entry.Lines, _entry.Failed, _entry.Bytes, _entry.Input);
        _results.SetLength(_bytes);
        _results.Position = _bytes;
    }

    /// <summary>Deletes the journal that a run left if it was killed between the renaming and the deletion.</summary>
    private static void DeleteJournal(string path)
    {
        if (!File.Exists(path + JournalSuffix)) return;
        try
        {
            new FileStream(
                path + JournalSuffix, FileMode.Open, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose).Dispose();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The file is complete all the same.
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

        FolderSync.Move(path + TemporarySuffix, path);
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
