namespace LdlVk.Datasets.Containers;

/// <summary>One line of a file.</summary>
/// <param name="Number">Its number, from 0.</param>
/// <param name="Bytes">Its bytes without the line's end, valid until the next line is read; empty if <paramref name="TooLong"/>.</param>
/// <param name="TooLong">Whether it is longer than <see cref="LineReader.MaxLineBytes"/>; it was skipped.</param>
public readonly record struct RawLine(long Number, ReadOnlyMemory<byte> Bytes, bool TooLong)
{
    /// <summary>Whether there is nothing but white space on it.</summary>
    public bool IsBlank => !TooLong && Bytes.Span.IndexOfAnyExcept(" \t\r"u8) < 0;
}
