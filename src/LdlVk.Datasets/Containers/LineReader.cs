namespace LdlVk.Datasets.Containers;

/// <summary>
/// Cuts a stream into lines, at "\n" or "\r\n", or a JSON array into its elements, with memory for one of them.
/// </summary>
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
        if (ForeignFormat.Find(_buffer.AsSpan(0, _end)) is { } foreign)
            throw new UsageException($"The input is {foreign}. Lines of JSON, a JSON array and Parquet are read.");
        if (BeginsWithBracket())
        {
            foreach (RawLine element in Elements()) yield return element;
            yield break;
        }

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

    /// <summary>Whether the first byte that is not white space is that of a JSON array.</summary>
    private bool BeginsWithBracket()
    {
        int blank = 0;
        while (_start + blank < _end || Fill())
        {
            if (_buffer[_start + blank] is not ((byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n')) return _buffer[_start + blank] == '[';
            blank++;
        }

        return false;
    }

    /// <summary>Returns the elements of a JSON array, of whose syntax only strings and brackets are looked at.</summary>
    private IEnumerable<RawLine> Elements()
    {
        while (_buffer[_start] != '[') _start++;
        _start++;
        long number = 0;
        int depth = 0, scanned = 0;
        bool isString = false, skipping = false;
        while (true)
        {
            if (_start + scanned == _end)
            {
                if (scanned > MaxLineBytes || skipping) (skipping, _start, _end, scanned) = (true, 0, 0, 0);
                if (!Fill()) throw new UsageException("The input is a JSON array that does not end: a part of the file is missing.");
                continue;
            }

            byte b = _buffer[_start + scanned];
            if (b == '\\' && isString)
            {
                // The next byte is escaped; it may not be there yet.
                if (_start + scanned + 1 == _end && !Fill()) continue;
                scanned += 2;
                continue;
            }

            if (b == '"') isString = !isString;
            if (!isString && depth == 0 && b is (byte)',' or (byte)']')
            {
                RawLine element = skipping || scanned > MaxLineBytes ? new RawLine(number, default, true) : Line(number, scanned);
                bool isLast = b == ']';
                if (!isLast || !IsWhite(element)) yield return element;
                (_start, scanned, skipping) = (_start + scanned + 1, 0, false);
                number++;
                if (!isLast) continue;
                CheckEnd();
                yield break;
            }

            if (!isString) depth += b is (byte)'{' or (byte)'[' ? 1 : b is (byte)'}' or (byte)']' ? -1 : 0;
            scanned++;
        }
    }

    private static bool IsWhite(RawLine line) => !line.TooLong && line.Bytes.Span.IndexOfAnyExcept(" \t\r\n"u8) < 0;

    /// <summary>Checks that nothing follows the array.</summary>
    private void CheckEnd()
    {
        do
        {
            if (_buffer.AsSpan(_start, _end - _start).IndexOfAnyExcept(" \t\r\n"u8) >= 0)
                throw new UsageException(
                    "The input begins with a JSON array, and something follows it. Give one array, or an object {…} on each line.");
            (_start, _end) = (0, 0);
        }
        while (Fill());
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
