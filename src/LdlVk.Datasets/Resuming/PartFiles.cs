using System.Security.Cryptography;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Containers.Parquet;
using LdlVk.Datasets.Files;

namespace LdlVk.Datasets.Resuming;

/// <summary>
/// The result files of all parts while they are joined. Lines are copied in pieces, so that memory depends neither on the length of a line
/// nor on the number of parts, except for a checksum of each; at most <see cref="MaxOpen"/> files are open. A table is written as lines
/// into a file of its own first, since its rows cannot be taken up in the middle.
/// </summary>
internal sealed class PartFiles(IReadOnlyList<(string Path, RunRecord Record)> parts) : IDisposable
{
    /// <summary>Maximum number of open files; systems permit 1,024 by default.</summary>
    private const int MaxOpen = 64;

    /// <summary>Bytes beyond the likely length of the lines that are read at once.</summary>
    private const int MoreBytes = 1 << 12;

    private readonly byte[] _buffer = new byte[1 << 18];
    private readonly State[] _states = [.. parts.Select(_ => new State())];
    private readonly Queue<int> _open = [];
    private FileStream? _scratch;

    /// <summary>Writes those parts that are tables as lines into one file, in which <see cref="Copy"/> finds them.</summary>
    /// <param name="open">Opens the file; the parts own it then.</param>
    /// <param name="cancellationToken">Cancels the writing.</param>
    /// <exception cref="UsageException">A part has been changed, or a row of it is too long.</exception>
    public void ExpandTables(Func<FileStream> open, CancellationToken cancellationToken)
    {
        for (int part = 0; part < _states.Length; part++)
        {
            (string path, RunRecord record) = parts[part];
            using (FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0))
            {
                if (!IsTable(file)) continue;
                CheckFile(file, part);
            }

            _scratch ??= open();
            State state = _states[part];
            (state.IsTable, state.Position) = (true, _scratch.Position);
            using ParquetFile table = ParquetFile.Open(path, cancellationToken, isResults: true);
            long rows = 0;
            foreach (RawLine row in table.Lines())
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (row.Error is not null)
                    throw new UsageException($"{path}: row {row.Number} has more than {RawLine.MaxBytes >> 20} MiB as JSON. "
                        + "Score into files of lines, and merge those.");
                _scratch.Write(row.Bytes.Span);
                _scratch.WriteByte((byte)'\n');
                if (++rows > record.Lines) throw Damaged(part);
            }

            state.End = _scratch.Position;
            if (rows != record.Lines) throw Damaged(part);
        }

        _scratch?.Flush();
    }

    /// <summary>Checks that all parts have the checksums of their records, before anything is written that cannot be taken back.</summary>
    /// <exception cref="UsageException">A part has been changed.</exception>
    public void CheckUnchanged(CancellationToken cancellationToken)
    {
        for (int part = 0; part < _states.Length; part++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using FileStream file = new(parts[part].Path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            CheckFile(file, part);
        }
    }

    /// <summary>Whether a part is a table.</summary>
    public static bool IsTable(string path)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        return IsTable(file);
    }

    /// <summary>Copies the next lines of a part.</summary>
    /// <param name="part">Index of the part.</param>
    /// <param name="lines">Number of lines.</param>
    /// <param name="output">Receives them.</param>
    /// <param name="cancellationToken">Cancels the copying.</param>
    /// <exception cref="UsageException">The part has fewer lines.</exception>
    public void Copy(int part, long lines, Stream output, CancellationToken cancellationToken)
    {
        State state = _states[part];
        FileStream file = state.IsTable ? _scratch! : Open(part);
        file.Position = state.Position;
        // No more than what the lines are likely to take: with a thousand parts, a full buffer for each block would be read many times.
        RunRecord record = parts[part].Record;
        double likely = MoreBytes + (1.25 * lines * record.Bytes / Math.Max(1, record.Lines));
        int some = state.IsTable ? _buffer.Length : (int)Math.Min(_buffer.Length, likely);
        while (lines > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            int read = file.Read(_buffer, 0, state.IsTable ? (int)Math.Min(some, state.End - state.Position) : some);
            if (read == 0) throw Damaged(part);
            int end = 0;
            for (; lines > 0 && end < read; lines--)
            {
                int newline = _buffer.AsSpan(end, read - end).IndexOf((byte)'\n');
                if (newline < 0) break;
                end += newline + 1;
            }

            if (lines > 0) end = read;
            state.Hash.AppendData(_buffer, 0, end);
            output.Write(_buffer, 0, end);
            state.Position += end;
            file.Position = state.Position;
        }
    }

    /// <summary>Checks that all lines of all parts were copied, and that they have the checksums of the records.</summary>
    /// <exception cref="UsageException">A part has been changed.</exception>
    public void CheckEnd()
    {
        for (int part = 0; part < _states.Length; part++)
        {
            State state = _states[part];
            RunRecord record = parts[part].Record;
            if (state.IsTable)
            {
                if (state.Position != state.End) throw Damaged(part);
                continue;
            }

            if (new FileInfo(parts[part].Path).Length != state.Position
                || state.Position != record.Bytes
                || Convert.ToHexStringLower(state.Hash.GetHashAndReset()) != record.Sha256)
                throw Damaged(part);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _scratch?.Dispose();
        foreach (State state in _states)
        {
            state.File?.Dispose();
            state.Hash.Dispose();
        }
    }

    private void CheckFile(FileStream file, int part)
    {
        RunRecord record = parts[part].Record;
        if (file.Length != record.Bytes || Convert.ToHexStringLower(SHA256.HashData(file)) != record.Sha256) throw Damaged(part);
    }

    private FileStream Open(int part)
    {
        State state = _states[part];
        if (state.File is { } there) return there;
        if (_open.Count == MaxOpen)
        {
            State oldest = _states[_open.Dequeue()];
            oldest.File?.Dispose();
            oldest.File = null;
        }

        _open.Enqueue(part);
        return state.File = new FileStream(parts[part].Path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
    }

    private static bool IsTable(FileStream file)
    {
        Span<byte> magic = stackalloc byte[4];
        int read = file.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false);
        file.Position = 0;
        return ParquetFile.Is(magic[..read]);
    }

    private UsageException Damaged(int part) =>
        new(
            $"{parts[part].Path} has been changed: its lines or their checksum differ from "
            + $"{OutputPath.RecordOf(parts[part].Path)}. Score this part again.");

    private sealed class State
    {
        public IncrementalHash Hash { get; } = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

        public FileStream? File { get; set; }

        /// <summary>Where the next line begins.</summary>
        public long Position { get; set; }

        /// <summary>Whether the lines are in the file of expanded tables.</summary>
        public bool IsTable { get; set; }

        /// <summary>Where the lines of a table end.</summary>
        public long End { get; set; }
    }
}
