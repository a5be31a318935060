using System.Security.Cryptography;
using LdlVk.Datasets.Files;

namespace LdlVk.Datasets.Resuming;

/// <summary>
/// The result files of all parts while they are joined. Lines are copied in pieces, so that memory depends neither on the length of a line
/// nor on the number of parts, except for a checksum of each; at most <see cref="MaxOpen"/> files are open.
/// </summary>
internal sealed class PartFiles(IReadOnlyList<(string Path, RunRecord Record)> parts) : IDisposable
{
    /// <summary>Maximum number of open files; systems permit 1,024 by default.</summary>
    private const int MaxOpen = 64;

    private readonly byte[] _buffer = new byte[1 << 18];
    private readonly State[] _states = [.. parts.Select(_ => new State())];
    private readonly Queue<int> _open = [];

    /// <summary>Copies the next lines of a part.</summary>
    /// <param name="part">Index of the part.</param>
    /// <param name="lines">Number of lines.</param>
    /// <param name="output">Receives them.</param>
    /// <param name="cancellationToken">Cancels the copying.</param>
    /// <exception cref="UsageException">The part has fewer lines.</exception>
    public void Copy(int part, long lines, Stream output, CancellationToken cancellationToken)
    {
        State state = _states[part];
        FileStream file = Open(part);
        while (lines > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            int read = file.Read(_buffer);
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
            if (new FileInfo(parts[part].Path).Length != state.Position
                || state.Position != record.Bytes
                || Convert.ToHexStringLower(state.Hash.GetHashAndReset()) != record.Sha256)
                throw Damaged(part);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (State state in _states)
        {
            state.File?.Dispose();
            state.Hash.Dispose();
        }
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
        return state.File = new FileStream(parts[part].Path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0)
        {
            Position = state.Position,
        };
    }

    private UsageException Damaged(int part) =>
        new(
            $"{parts[part].Path} has been changed: its lines or their checksum differ from "
            + $"{OutputPath.RecordOf(parts[part].Path)}. Score this part again.");

    private sealed class State
    {
        public IncrementalHash Hash { get; } = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

        public FileStream? File { get; set; }

        public long Position { get; set; }
    }
}
