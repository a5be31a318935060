namespace LdlVk.Datasets.Containers;

/// <summary>
/// The bytes of an input that have been read and are not used yet. They can be looked at before the input's reader is chosen.
/// </summary>
/// <param name="stream">The stream, which stays the caller's to close.</param>
/// <param name="cancellationToken">Ends the wait for more.</param>
internal sealed class InputBuffer(Stream stream, CancellationToken cancellationToken)
{
    private byte[] _bytes = new byte[1 << 16];
    private int _start, _end;

    /// <summary>Number of bytes that are held.</summary>
    public int Length => _end - _start;

    /// <summary>The bytes that are held, valid until the next call.</summary>
    public ReadOnlySpan<byte> Held => _bytes.AsSpan(_start, Length);

    /// <summary>Number of bytes that have been used.</summary>
    public long Used { get; private set; }

    /// <summary>Ends the wait for more.</summary>
    public CancellationToken CancellationToken => cancellationToken;

    /// <summary>Returns some of the bytes that are held, valid until more are read.</summary>
    public ReadOnlyMemory<byte> Memory(int start, int length) => _bytes.AsMemory(_start + start, length);

    /// <summary>Marks the next bytes as used.</summary>
    public void Skip(int count)
    {
        _start += count;
        Used += count;
    }

    /// <summary>Reads until at least <paramref name="count"/> bytes are held; false if the input ends before.</summary>
    public bool Ensure(int count)
    {
        while (Length < count)
            if (!Fill()) return false;
        return true;
    }

    /// <summary>Reads more; false at the end of the input.</summary>
    public bool Fill()
    {
        if (_start == _end) (_start, _end) = (0, 0);
        if (_end == _bytes.Length)
        {
            byte[] target = Length > _bytes.Length / 2 ? new byte[Math.Min(2L * _bytes.Length, Array.MaxLength)] : _bytes;
            _bytes.AsSpan(_start, Length).CopyTo(target);
            (_bytes, _start, _end) = (target, 0, Length);
        }

        // A read from a terminal or a pipe may last for ever; Ctrl-C must end the wait for it. (ReadAsync of standard input waits itself.)
        int read = Task.Run(() => stream.Read(_bytes, _end, _bytes.Length - _end), cancellationToken)
            .WaitAsync(cancellationToken).GetAwaiter().GetResult();
        _end += read;
        return read > 0;
    }

    /// <summary>Returns the rest of the input as a stream.</summary>
    public Stream ToStream() => new Rest(this);

    private sealed class Rest(InputBuffer input) : ReadOnlyStream
    {
        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            if (buffer.IsEmpty || (input.Length == 0 && !input.Fill())) return 0;
            int count = Math.Min(buffer.Length, input.Length);
            input.Held[..count].CopyTo(buffer);
            input.Skip(count);
            return count;
        }
    }
}
