using System.Text;
using LdlVk.Datasets.Containers.Json;
using LdlVk.Datasets.Items;
using LdlVk.Runtime.Formatting;
using Sylvan.Data.Csv;

namespace LdlVk.Datasets.Containers.Csv;

/// <summary>
/// CSV and TSV with a header (RFC 4180: quotes around separators, line ends and doubled quotes) as lines of JSON, one for each row. An
/// empty cell is null. <see cref="CsvColumn"/> says what the other cells are.
/// </summary>
/// <remarks>
/// Sylvan.Data.Csv 1.4.4 reads the cells. Of 16 small files with unusual quotes it refuses a quote that is not closed and text behind a
/// closing quote, where Sep 0.17.1 returns cells that are not in the file. CsvHelper was not measured.
/// </remarks>
internal sealed class CsvReader
{
    /// <summary>Takes the place of bytes that are not UTF-8. It is not a character, so no text has it.</summary>
    private const char NotUtf8 = '\uFFFF';

    private static readonly Encoding Utf8 = Encoding.GetEncoding(
        "utf-8", EncoderFallback.ExceptionFallback, new DecoderReplacementFallback(NotUtf8.ToString()));

    private readonly InputBuffer _input;
    private readonly char _separator;
    private readonly ItemFields _names;

    /// <param name="input">The input, behind its byte order mark.</param>
    /// <param name="separator">What is between the cells.</param>
    /// <param name="names">The fields of an item's parts.</param>
    public CsvReader(InputBuffer input, char separator, ItemFields names) => (_input, _separator, _names) = (input, separator, names);

    /// <summary>The rows. A line's bytes are overwritten by the next one's.</summary>
    /// <exception cref="UsageException">The input is not CSV.</exception>
    public IEnumerable<RawLine> Lines()
    {
        using StreamReader text = new(_input.ToStream(), Utf8, detectEncodingFromByteOrderMarks: false, bufferSize: 1 << 14);
        long number = -1;
        using CsvDataReader csv = Guard(() => CsvDataReader.Create(text, new CsvDataReaderOptions
        {
            Delimiter = _separator, MaxBufferSize = 2 * RawLine.MaxBytes, HasHeaders = true, CsvStyle = CsvStyle.Standard,
        }), number);
        CsvColumn?[] columns = Columns(csv);
        JsonText json = new();
        // Each row repeats the names of the columns.
        ExpansionLimit limit = new(() => _input.Used);
        while (Guard(() => Next(csv, json, limit), ++number)) yield return Row(csv, columns, json, number);
    }

    private static bool Next(CsvDataReader csv, JsonText before, ExpansionLimit limit)
    {
        limit.Add(before.Length);
        return csv.Read();
    }

    private CsvColumn?[] Columns(CsvDataReader csv)
    {
        var columns = new CsvColumn?[csv.FieldCount];
        HashSet<string> seen = new(StringComparer.Ordinal);
        for (int i = 0; i < columns.Length; i++)
        {
            string name = csv.GetName(i).Trim();
            if (name.Length == 0) continue; // pandas' index
            if (!seen.Add(name)) throw new UsageException($"The input is CSV, and two of its columns are named {Readable.Quoted(name)}.");
            columns[i] = new CsvColumn(name, _names.PartOf(name));
        }

        return columns;
    }

    private static RawLine Row(CsvDataReader csv, CsvColumn?[] columns, JsonText json, long number)
    {
        int count = csv.RowFieldCount;
        bool isBlank = true;
        for (int i = 0; i < count && isBlank; i++) isBlank = csv.GetFieldSpan(i).IsEmpty;
        if (isBlank) return new RawLine(number, default);
        if (count != columns.Length)
            return new RawLine(
                number, default, $"the row has {Readable.Plural(count, "cell")}, and the header has {columns.Length}. "
                + "A cell with a separator, a quote or a line end needs quotes around it.");
        json.Clear();
        json.Raw("{"u8);
        bool isFirst = true;
        for (int i = 0; i < count; i++)
        {
            if (columns[i] is not { } column) continue;
            ReadOnlySpan<char> cell = csv.GetFieldSpan(i);
            if (cell.Contains(NotUtf8)) return new RawLine(number, default, "the line is not valid UTF-8. Save the file as UTF-8.");
            if (!isFirst) json.Raw(","u8);
            isFirst = false;
            if (column.Write(cell, json) is { } error) return new RawLine(number, default, error);
        }

        json.Raw("}"u8);
        return json.IsTooLong ? RawLine.OfTooLong(number) : new RawLine(number, json.Bytes);
    }

    private static T Guard<T>(Func<T> read, long number)
    {
        string row = number < 0 ? "its header" : $"row {Readable.Count(number)} (counted from 0)";
        try
        {
            return read();
        }
        catch (CsvRecordTooLargeException e)
        {
            throw new UsageException(
                $"The input is CSV, and {row} has more than {RawLine.MaxBytes >> 20} MiB: a quote may not be closed.", e);
        }
        catch (InvalidDataException e)
        {
            throw new UsageException($"The input is CSV that is not read: {e.Message}", e);
        }
        catch (Exception e) when (e is CsvFormatException or CsvMissingHeadersException or FormatException)
        {
            throw new UsageException($"The input is CSV that is broken at {row}: {e.Message} Quotes in a cell are doubled.", e);
        }
    }
}
