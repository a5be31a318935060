using System.Text;

namespace LdlVk.Runtime.Text.Normalizing;

/// <summary>The normalization forms of Unicode: <c>NFC</c>, <c>NFD</c>, <c>NFKC</c>, <c>NFKD</c>.</summary>
/// <param name="compatible">Whether compatibility characters are decomposed (NFKC, NFKD).</param>
/// <param name="composes">Whether characters are composed afterwards (NFC, NFKC).</param>
internal sealed class UnicodeNormalizer(bool compatible, bool composes) : Normalizer
{
    private const char FirstChange = '\u00A0', FirstMark = '\u0300'; // no form changes a character below

    public override NormalizedText Apply(NormalizedText text)
    {
        string value = text.Text;
        // NFC leaves all below U+0300 alone, which are neither marks nor joined to what stands before them.
        char limit = composes && !compatible ? FirstMark : FirstChange;
        int start = value.AsSpan().IndexOfAnyExceptInRange('\0', (char)(limit - 1));
        if (start < 0) return text;
        NormalizationTable table = NormalizationTable.Instance;
        if (IsInert(value, start, table)) return text;

        NormalizedTextBuilder builder = new(text);
        List<int> codes = [];
        List<byte> classes = [];
        int copied = 0;
        // A segment begins at an inert character and ends before the next one: nothing reaches across.
        for (int from = 0; from < value.Length;)
        {
            int end = from;
            bool changes = false;
            do
            {
                Rune.DecodeFromUtf16(value.AsSpan(end), out Rune rune, out int length);
                if (end > from && table.IsInert(rune.Value)) break;
                changes |= !table.IsInert(rune.Value);
                end += length;
            }
            while (end < value.Length);
            if (changes && Segment(value.AsSpan(from, end - from), table, codes, classes) is var segment
                && !value.AsSpan(from, end - from).SequenceEqual(segment))
            {
                builder.Copy(copied, from);
                builder.Append(segment, from);
                copied = end;
            }

            from = end;
        }

        if (copied == 0) return text;
        builder.Copy(copied, value.Length);
        return builder.ToText();
    }

    private static bool IsInert(string value, int start, NormalizationTable table)
    {
        foreach (Rune rune in value.AsSpan(start).EnumerateRunes())
            if (!table.IsInert(rune.Value)) return false;
        return true;
    }

    private string Segment(ReadOnlySpan<char> text, NormalizationTable table, List<int> codes, List<byte> classes)
    {
        codes.Clear();
        classes.Clear();
        foreach (Rune rune in text.EnumerateRunes()) table.Decompose(rune.Value, compatible, codes);
        foreach (int code in codes) classes.Add(table.Class(code));
        Order(codes, classes);
        if (composes) Compose(codes, classes, table);
        StringBuilder result = new(codes.Count + 8);
        foreach (int code in codes) result.Append(new Rune(code).ToString());
        return result.ToString();
    }

    /// <summary>Sorts each run of marks by class; marks of one class keep their order.</summary>
    private static void Order(List<int> codes, List<byte> classes)
    {
        for (int from = 0; from < codes.Count;)
        {
            if (classes[from] == 0)
            {
                from++;
                continue;
            }

            int end = from + 1;
            bool isSorted = true;
            for (; end < codes.Count && classes[end] != 0; end++) isSorted &= classes[end - 1] <= classes[end];
            if (!isSorted)
            {
                // A stable sort, so that a run of any length takes n log n.
                (int Code, byte Class)[] run =
                    [.. Enumerable.Range(from, end - from).Select(i => (codes[i], classes[i])).OrderBy(mark => mark.Item2)];
                for (int i = from; i < end; i++) (codes[i], classes[i]) = run[i - from];
            }

            from = end;
        }
    }

    /// <summary>Joins each mark or starter with the last starter before it, if nothing between them blocks that.</summary>
    private static void Compose(List<int> codes, List<byte> classes, NormalizationTable table)
    {
        int starter = -1, length = 0;
        int last = -1; // class of the last character kept behind the starter; -1 if there is none
        for (int i = 0; i < codes.Count; i++)
        {
            (int code, byte order) = (codes[i], classes[i]);
            if (starter >= 0 && (last < 0 || (last < order && last != 0)) && table.Compose(codes[starter], code) is >= 0 and int joined)
            {
                codes[starter] = joined;
                continue;
            }

            if (order == 0) (starter, last) = (length, -1);
            else last = order;
            (codes[length], classes[length]) = (code, order);
            length++;
        }

        codes.RemoveRange(length, codes.Count - length);
    }
}
