namespace LdlVk.Datasets.Containers;

/// <summary>Cuts an input into lines, at "\n" or "\r\n", with memory for one of them.</summary>
/// <param name="input">The input.</param>
/// <param name="maxBytes">Bytes of the longest line that is read.</param>
internal sealed class LineReader(InputBuffer input, int maxBytes = LineReader.MaxLineBytes)
{
    /// <summary>Bytes of the longest line that is read: thousands of long responses.</summary>
    public const int MaxLineBytes = 16 << 20;

    /// <summary>Creates a reader of a stream, which stays the caller's to close.</summary>
    public LineReader(Stream stream, CancellationToken cancellationToken = default, int maxBytes = MaxLineBytes)
        : this(new InputBuffer(stream, cancellationToken), maxBytes)
    {
    }

    /// <summary>The lines. A line's bytes are overwritten by the next one's. An empty rest behind the last "\n" is no line.</summary>
    public IEnumerable<RawLine> Lines()
    {
        long number = 0;
        bool skipping = false;
        int searched = 0;
        while (true)
        {
            int newline = input.Held[searched..].IndexOf((byte)'\n');
            if (newline >= 0)
            {
                int length = searched + newline;
                yield return skipping || length > maxBytes ? RawLine.OfTooLong(number) : Line(number, length);
                input.Skip(length + 1);
                (searched, skipping) = (0, false);
                number++;
                continue;
            }

            searched = input.Length;
            if (skipping || searched > maxBytes)
            {
                skipping = true;
                input.Skip(searched);
                searched = 0;
            }

            if (input.Fill()) continue;
            if (skipping) yield return RawLine.OfTooLong(number);
            else if (searched > 0) yield return Line(number, searched);
            input.Skip(input.Length);
            yield break;
        }
    }

    private RawLine Line(long number, int length)
    {
        if (length > 0 && input.Held[length - 1] == '\r') length--;
        return new RawLine(number, input.Memory(0, length));
    }
}
