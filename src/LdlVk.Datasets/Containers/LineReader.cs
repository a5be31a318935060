namespace LdlVk.Datasets.Containers;

/// <summary>Cuts a stream into lines, at "\n" or "\r\n", with memory for one line.</summary>
/// <param name="stream">The stream, which stays the caller's to close.</param>
/// <param name="cancellationToken">Ends the wait for more.</param>
public sealed class LineReader(Stream stream, CancellationToken cancellationToken)
{
    /// <summary>Bytes of the longest line that is read: thousands of long responses.</summary>
    public const int MaxLineBytes = 16 << 20;

    private byte[] _buffer = new byte[1 << 16];
    private int _start, _end;

    /// <summary>Bytes that have been read and are not in a line yet.</summary>
    public int Ahead => _end - _start;

    /// <summary>The lines. A line's bytes are overwritten by the next one's. An empty rest behind the last "\n" is no line.</summary>
    public IEnumerable<RawLine> Lines()
    {
        long number = 0;
        bool skipping = false;
        int searched = 0;
        SkipByteOrderMark();
        if (Parquet.ParquetFile.Is(_buffer.AsSpan(0, _end)))
            throw new UsageException("The input is Parquet, which is not read from a pipe: give the file itself.");
        while (true)
        {
            int newline = _buffer.AsSpan(_start + searched, _end - _start - searched).IndexOf((byte)'\n');
            if (newline >= 0)
            {
                int length = searched + newline;
                yield return skipping || length > MaxLineBytes ? new RawLine(number, default, true) : Line(number, length);
                (_start, searched, skipping) = (_start + length + 1, 0, false);
                number++;
                continue;
            }

            searched = _end - _start;
            if (skipping || searched > MaxLineBytes)
            {
                skipping = true;
                (_start, _end, searched) = (0, 0, 0);
            }

            if (Fill()) continue;
            if (skipping) yield return new RawLine(number, default, true);
            else if (searched > 0) yield return Line(number, searched);
            yield break;
        }
    }

    private RawLine Line(long number, int length)
    {
        if (length > 0 && _buffer[_start + length - 1] == '\r') length--;
        return new RawLine(number, _buffer.AsMemory(_start, length), false);
    }

    /// <summary>Windows programs put it at the beginning of UTF-8 files.</summary>
    private void SkipByteOrderMark()
    {
        while (_end < 4 && Fill())
        {
        }

        if (_buffer.AsSpan(0, _end).StartsWith("\uFEFF"u8)) _start = 3;
    }

    /// <summary>Reads more; false at the end of the stream.</summary>
    private bool Fill()
    {
        if (_end == _buffer.Length)
        {
            int length = _end - _start;
            byte[] target = length > _buffer.Length / 2 ? new byte[_buffer.Length * 2] : _buffer;
            _buffer.AsSpan(_start, length).CopyTo(target);
            (_buffer, _start, _end) = (target, 0, length);
        }

        // A read from a terminal or a pipe may last for ever; Ctrl-C must end the wait for it. (ReadAsync of standard input waits itself.)
        int read = Task.Run(() => stream.Read(_buffer, _end, _buffer.Length - _end), cancellationToken)
            .WaitAsync(cancellationToken).GetAwaiter().GetResult();
        _end += read;
        return read > 0;
    }
}
