using System.Text;
using LdlVk.Datasets.Items;

namespace LdlVk.Datasets.Containers.Csv;

/// <summary>Recognizes CSV and TSV by the first line: names of columns, among them fields of an item.</summary>
internal static class CsvHeader
{
    /// <summary>Maximum length of a header.</summary>
    public const int MaxBytes = 1 << 20;

    private static readonly char[] Separators = ['\t', ',', ';'];

    /// <summary>Returns the separator of a header; null if the line is none.</summary>
    /// <param name="line">The first line, without its end.</param>
    /// <param name="names">The fields of an item's parts.</param>
    public static char? Find(ReadOnlySpan<byte> line, ItemFields names)
    {
        string text = Encoding.UTF8.GetString(line);
        if (line.Count((byte)'"') % 2 != 0) return null; // A name does not go on in the next line.
        (char Separator, int Known, int All) best = default;
        foreach (char separator in Separators)
        {
            List<string> cells = Split(text, separator);
            int known = cells.Count(cell => names.PartOf(cell) is not null);
            if ((known, cells.Count).CompareTo((best.Known, best.All)) > 0) best = (separator, known, cells.Count);
        }

        return best.Known > 0 ? best.Separator : null;
    }

    /// <summary>Whether a line has at least two names, between separators, that could be those of columns.</summary>
    public static bool IsPlausible(ReadOnlySpan<byte> line)
    {
        string text = Encoding.UTF8.GetString(line);
        return Separators.Any(separator => Split(text, separator) is { Count: > 1 } cells
            && cells.All(cell => cell.Length is > 0 and <= 60 && cell.AsSpan().IndexOfAny("{}[:") < 0));
    }

    private static List<string> Split(string line, char separator)
    {
        List<string> cells = [];
        StringBuilder cell = new();
        bool isQuoted = false;
        foreach (char c in line)
        {
            if (c == '"')
            {
                isQuoted = !isQuoted;
            }
            else if (c == separator && !isQuoted)
            {
                cells.Add(cell.ToString().Trim());
                cell.Clear();
            }
            else
            {
                cell.Append(c);
            }
        }

        cells.Add(cell.ToString().Trim());
        return cells;
    }
}
