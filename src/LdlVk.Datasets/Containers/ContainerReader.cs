using System.Text;
using LdlVk.Datasets.Containers.Arrow;
using LdlVk.Datasets.Containers.Csv;
using LdlVk.Datasets.Containers.Json;
using LdlVk.Datasets.Items;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Datasets.Containers;

/// <summary>
/// Recognizes by its content what an input is, and returns its items as lines of JSON: JSON lines, objects over several lines, a JSON
/// array, an object of lists, CSV, TSV or Arrow, each also compressed with gzip or Zstandard.
/// </summary>
/// <param name="input">The input.</param>
/// <param name="path">The name of the input, for messages.</param>
/// <param name="names">The fields of an item's parts.</param>
/// <param name="isFile">Whether the input is an ordinary file, whose size bounds the memory.</param>
internal sealed class ContainerReader(InputBuffer input, string path, ItemFields names, bool isFile)
{
    /// <summary>White space at the beginning behind which an array or an object is looked for.</summary>
    private const int MaxBlankBytes = 1 << 16;

    /// <summary>The items. A line's bytes are overwritten by the next one's.</summary>
    /// <exception cref="UsageException">The input is none of these.</exception>
    /// <exception cref="IOException">The input is damaged.</exception>
    public IEnumerable<RawLine> Lines()
    {
        input.Ensure(4);
        using Stream? plain = CompressedFile.Open(path, input);
        bool isCompressed = plain is not null;
        InputBuffer text = isCompressed ? new InputBuffer(plain!, input.CancellationToken) : input;
        foreach (RawLine line in Lines(text, isCompressed)) yield return line;
    }

    private IEnumerable<RawLine> Lines(InputBuffer text, bool isCompressed)
    {
        text.Ensure(4);
        if (Parquet.ParquetFile.Is(text.Held))
            throw new UsageException(isCompressed
                ? "The input is compressed Parquet. Parquet is compressed inside: unpack the file, and give what is in it."
                : "The input is Parquet, which is not read from a pipe: give the file itself.");
        // What is not JSON is not typed at a terminal either, so that its beginning can be waited for.
        if (text.Length > 0 && text.Held[0] is not ((byte)'{' or (byte)'[')) text.Ensure(ForeignFormat.HeadBytes);
        if (ArrowFile.Is(text.Held)) return new ArrowFile(text, path).Lines();
        if (ForeignFormat.Find(text.Held) is { } foreign)
            throw new UsageException($"The input is {foreign}. JSON, CSV, TSV, Parquet and Arrow are read.");
        // Windows programs put it at the beginning of UTF-8 files.
        if (text.Held.StartsWith("\uFEFF"u8)) text.Skip(3);
        return FirstByte(text) switch
        {
            (byte)'[' => new JsonValueReader(text).Elements(),
            (byte)'{' => OfObject(text, isFile && !isCompressed),
            null => new LineReader(text).Lines(),
            _ => OfText(text),
        };
    }

    /// <summary>Returns the first byte that is not white space; null if there is none, or only far behind.</summary>
    private static byte? FirstByte(InputBuffer text)
    {
        for (int blank = 0; blank < MaxBlankBytes;)
        {
            if (!text.Ensure(blank + 1)) return null;
            blank = JsonScan.SkipWhite(text.Held, blank);
            if (blank < text.Length) return text.Held[blank];
        }

        return null;
    }

    private IEnumerable<RawLine> OfObject(InputBuffer text, bool isSizeKnown)
    {
        int start = JsonScan.SkipWhite(text.Held, 0);
        int line = FirstLine(text, start);
        JsonColumns.Verdict verdict = JsonColumns.Find(text.Held[start..line], names);
        if (verdict == JsonColumns.Verdict.Either && !IsFollowed(text, line))
            throw new UsageException(
                "The input is one object with lists of conversations in chosen and rejected: it may be one item with several responses, or "
                + "a list of pairs. Write an object for each item, on a line of its own.");
        if (verdict != JsonColumns.Verdict.Columns
            && JsonScan.EndOfValue(text.Held[..line], start) < 0
            && line < text.Length
            && NextLineGoesOn(text, line))
        {
            // The object is over several lines.
            while (JsonScan.EndOfValue(text.Held, start) < 0 && text.Length <= LineReader.MaxLineBytes && text.Fill())
            {
            }

            verdict = JsonColumns.Find(text.Held[start..], names);
            if (verdict != JsonColumns.Verdict.Columns) return new JsonValueReader(text).Objects();
        }

        return verdict == JsonColumns.Verdict.Columns
            ? JsonColumns.Read(text, names, isSizeKnown).Lines()
            : new LineReader(text).Lines();
    }

    /// <summary>Returns the end of the first line, or of what is read of it.</summary>
    private static int FirstLine(InputBuffer text, int start)
    {
        int searched = start;
        while (true)
        {
            int newline = text.Held[searched..].IndexOf((byte)'\n');
            if (newline >= 0) return searched + newline;
            searched = text.Length;
            if (searched > LineReader.MaxLineBytes || !text.Fill()) return text.Length;
        }
    }

    private static bool IsFollowed(InputBuffer text, int at)
    {
        while (true)
        {
            at = JsonScan.SkipWhite(text.Held, at);
            if (at < text.Length) return true;
            if (text.Length > LineReader.MaxLineBytes || !text.Fill()) return false;
        }
    }

    /// <summary>
    /// Whether the line behind the first one does not begin an object itself. If it does, the first line is a broken one.
    /// </summary>
    private static bool NextLineGoesOn(InputBuffer text, int line)
    {
        if (!IsFollowed(text, line)) return false;
        int at = JsonScan.SkipWhite(text.Held, line);
        return text.Held[at] != '{' || text.Held[at - 1] != '\n';
    }

    /// <summary>Text that does not begin as JSON: CSV if its first line names fields.</summary>
    private IEnumerable<RawLine> OfText(InputBuffer text)
    {
        int line = FirstLine(text, 0);
        if (line > CsvHeader.MaxBytes) return new LineReader(text).Lines();
        bool isAlone = !IsFollowed(text, line);
        ReadOnlySpan<byte> header = text.Held[..line].TrimEnd((byte)'\r');
        // A header without rows has at least two names: a single word is more likely a broken line.
        if (CsvHeader.Find(header, names) is { } separator && (!isAlone || CsvHeader.IsPlausible(header)))
            return new CsvReader(text, separator, names).Lines();
        if (isAlone) return new LineReader(text).Lines();
        int next = JsonScan.SkipWhite(text.Held, line);
        if (text.Held[next] == '{' || !CsvHeader.IsPlausible(header)) return new LineReader(text).Lines();
        throw new UsageException(
            $"The input is not JSON. If it is CSV, its first line has to name the columns, and it is "
            + $"{Readable.Quoted(Encoding.UTF8.GetString(header))}, in which no field is known. Name the fields with a map.");
    }
}
