namespace LdlVk.Datasets.Containers;

/// <summary>One line of a file, or what stands for one: an element of an array, a row of a table.</summary>
/// <param name="Number">Its number, from 0.</param>
/// <param name="Bytes">
/// Its JSON without the line's end, valid until the next line is read; empty if <paramref name="Error"/> is given.
/// </param>
/// <param name="Error">The reason why the line cannot be read, as a sentence; null if it can.</param>
public readonly record struct RawLine(long Number, ReadOnlyMemory<byte> Bytes, string? Error = null)
{
    /// <summary>Bytes of the longest line that is read: thousands of long responses.</summary>
    public const int MaxBytes = LineReader.MaxLineBytes;

    /// <summary>Whether there is nothing but white space on it.</summary>
    public bool IsBlank => Error is null && Bytes.Span.IndexOfAnyExcept(" \t\r"u8) < 0;

    /// <summary>Creates a line that was skipped because it is longer than <see cref="MaxBytes"/>.</summary>
    internal static RawLine OfTooLong(long number) =>
        new(number, default, $"the line has more than {MaxBytes >> 20} MiB. Split its responses over several lines.");
}
