using System.Buffers;
using System.Text;

namespace LdlVk.Runtime.Text.Jinja;

/// <summary>The methods of Python's str.</summary>
internal static class TextMethods
{
    private delegate object Method(RenderState state, MarkedText text, Arguments arguments);

    /// <summary>Digits that str.isdigit takes and str.isdecimal does not.</summary>
    private const string Scripts = "²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉";

    private static readonly Dictionary<string, Method> All = new(StringComparer.Ordinal)
    {
        ["strip"] = (_, s, a) => Strip(s, a.Only("chars").OptionalText(0, "chars"), start: true, end: true),
        ["lstrip"] = (_, s, a) => Strip(s, a.Only("chars").OptionalText(0, "chars"), start: true, end: false),
        ["rstrip"] = (_, s, a) => Strip(s, a.Only("chars").OptionalText(0, "chars"), start: false, end: true),
        ["upper"] = (_, s, a) => Upper(s, a.Only()),
        ["lower"] = (_, s, a) => s.Map(value => a.Only() is null ? value : value.ToLowerInvariant()),
        ["capitalize"] = (_, s, _) => Capitalize(s),
        ["title"] = (_, s, _) => s.Map(value => Title(value, char.IsLetter, "Ss")),
        ["swapcase"] = (_, s, _) =>
            s.Map(value => string.Concat(value.Select(c => char.IsUpper(c) ? char.ToLowerInvariant(c) : char.ToUpperInvariant(c)))),
        ["startswith"] = (_, s, a) => Python.Of(Affixes(a).Any(p => s.Value.StartsWith(p.Value, StringComparison.Ordinal))),
        ["endswith"] = (_, s, a) => Python.Of(Affixes(a).Any(p => s.Value.EndsWith(p.Value, StringComparison.Ordinal))),
        ["removeprefix"] = (_, s, a) =>
            a.Text(0, "prefix") is var p && s.Value.StartsWith(p.Value, StringComparison.Ordinal) ? s.Slice(p.Length, s.Length) : s,
        ["removesuffix"] = (_, s, a) => a.Text(0, "suffix") is var p && p.Length > 0 && s.Value.EndsWith(p.Value, StringComparison.Ordinal)
            ? s.Slice(0, s.Length - p.Length) : s,
        ["replace"] = (state, s, a) =>
            Replace(state, s, a.Only("old", "new", "count").Text(0, "old"), a.Text(1, "new"), a.Integer(2, "count", -1)),
        ["split"] = (state, s, a) =>
            state.Made(new ListValue(Split(state, s, a.Only("sep", "maxsplit").OptionalText(0, "sep"), a.Integer(1, "maxsplit", -1)))),
        ["rsplit"] = (state, s, a) =>
            state.Made(new ListValue(SplitFromEnd(state, s, a.Only("sep", "maxsplit").OptionalText(0, "sep"),
                a.Integer(1, "maxsplit", -1)))),
        ["splitlines"] = (state, s, a) => state.Made(new ListValue(Lines(s, a.Only("keepends").Flag(0, "keepends")))),
        ["partition"] = (_, s, a) => Partition(s, a.Text(0, "sep"), last: false),
        ["rpartition"] = (_, s, a) => Partition(s, a.Text(0, "sep"), last: true),
        ["find"] = (_, s, a) => Find(s, a, last: false),
        ["rfind"] = (_, s, a) => Find(s, a, last: true),
        ["index"] = (_, s, a) =>
            Find(s, a, last: false) is var at and >= 0 ? at : throw new JinjaException("index(): the text is not in the string."),
        ["rindex"] = (_, s, a) =>
            Find(s, a, last: true) is var at and >= 0 ? at : throw new JinjaException("rindex(): the text is not in the string."),
        ["count"] = (_, s, a) => Count(s.Value, a.Only("sub").Text(0, "sub").Value),
        ["join"] = (state, s, a) => Join(state, s, a.Only("iterable").Required(0, "iterable")),
        ["format"] = (state, s, a) => state.Made(Formatting.Braces(state, s, a)),
        ["zfill"] = (state, s, a) => Fill(state, s, a.Integer(0, "width", 0)),
        ["ljust"] = (state, s, a) => Pad(state, s, a, left: 0),
        ["rjust"] = (state, s, a) => Pad(state, s, a, left: 2),
        ["center"] = (state, s, a) => Pad(state, s, a, left: 1),
        ["isalpha"] = (_, s, _) => AllRunes(s, Rune.IsLetter),
        ["isdigit"] = (_, s, _) => AllRunes(s, rune => Rune.IsDigit(rune) || Scripts.Contains(rune.ToString(), StringComparison.Ordinal)),
        ["isdecimal"] = (_, s, _) => AllRunes(s, Rune.IsDigit),
        ["isnumeric"] = (_, s, _) => AllRunes(s, Rune.IsNumber),
        ["isalnum"] = (_, s, _) => AllRunes(s, rune => Rune.IsLetter(rune) || Rune.IsNumber(rune)),
        ["isspace"] = (_, s, _) => Python.Of(s.Length > 0 && s.Value.All(Python.IsSpace)),
        ["isupper"] = (_, s, _) => Python.Of(s.Value.Any(char.IsUpper) && !s.Value.Any(char.IsLower)),
        ["islower"] = (_, s, _) => Python.Of(s.Value.Any(char.IsLower) && !s.Value.Any(char.IsUpper)),
        ["isascii"] = (_, s, _) => Python.Of(Ascii.IsValid(s.Value)),
    };

    public static Function? Find(MarkedText text, string name) => All.TryGetValue(name, out Method? method)
        ? new(name, (state, arguments) =>
        {
            state.Spend(text.Length / 16);
            return method(state, text, arguments);
        })
        : null;

    public static MarkedText Strip(MarkedText text, MarkedText? characters, bool start = true, bool end = true)
    {
        HashSet<Rune>? set = characters is null ? null : [.. characters.Value.EnumerateRunes()];
        int from = 0, to = text.Length;
        while (start && from < to)
        {
            OperationStatus status = Rune.DecodeFromUtf16(text.Value.AsSpan(from), out Rune rune, out int units);
            if (!Takes(status, rune)) break;
            from += units;
        }

        while (end && to > from)
        {
            OperationStatus status = Rune.DecodeLastFromUtf16(text.Value.AsSpan(from, to - from), out Rune rune, out int units);
            if (!Takes(status, rune)) break;
            to -= units;
        }

        return text.Slice(from, to);

        bool Takes(OperationStatus status, Rune rune) =>
            status == OperationStatus.Done && (set?.Contains(rune) ?? (rune.IsBmp && Python.IsSpace((char)rune.Value)));
    }

    /// <summary>str.upper: .NET maps one character to one, and only the German ß becomes two in common texts.</summary>
    public static MarkedText Upper(MarkedText text, Arguments? _ = null) =>
        text.Map(value => value.ToUpperInvariant().Replace("ß", "SS", StringComparison.Ordinal));

    public static MarkedText Capitalize(MarkedText text) =>
        text.Length == 0 ? text : Upper(text.Slice(0, 1)).Append(text.Slice(1, text.Length).Map(value => value.ToLowerInvariant()));

    /// <summary>Words with their first letter in upper case; that of ß is given.</summary>
    public static string Title(string text, Func<char, bool> isInWord, string sharp)
    {
        StringBuilder output = new(text.Length);
        bool inWord = false;
        foreach (char c in text)
        {
            if (!inWord && c == 'ß') output.Append(sharp);
            else output.Append(inWord ? char.ToLowerInvariant(c) : char.ToUpperInvariant(c));
            inWord = isInWord(c);
        }

        return output.ToString();
    }

    public static MarkedText Replace(RenderState state, MarkedText text, MarkedText old, MarkedText by, long count)
    {
        MarkedTextBuilder output = new();
        int at = 0;
        string value = text.Value;
        if (old.Length == 0)
        {
            // Python puts it before each code point, and at the end.
            for (; count != 0; count--)
            {
                output.Append(by);
                state.Spend((by.Length / 4) + 1);
                int end = at == value.Length ? at : Python.Unit(value[at..Math.Min(at + 2, value.Length)], 1) + at;
                output.Append(text.Slice(at, end));
                if (at == value.Length) break;
                at = end;
            }

            return output.Append(text.Slice(at, value.Length)).ToText();
        }

        while (count != 0 && value.IndexOf(old.Value, at, StringComparison.Ordinal) is var found and >= 0)
        {
            output.Append(text.Slice(at, found)).Append(by);
            state.Spend((by.Length / 4) + 1);
            at = found + old.Length;
            count--;
        }

        return at == 0 ? text : state.Made(output.Append(text.Slice(at, value.Length)).ToText());
    }

    public static MarkedText Join(RenderState state, MarkedText separator, object items)
    {
        MarkedTextBuilder output = new();
        bool first = true;
        foreach (object item in Python.Iterate(items))
        {
            if (item is Undefined undefined) throw undefined.Error();
            if (item is not MarkedText text) throw new JinjaException($"join(): an item is {Python.TypeOf(item)}, not a string.");
            if (!first) output.Append(separator);
            first = false;
            state.Spend(((separator.Length + text.Length) / 4) + 1);
            output.Append(text);
        }

        return output.ToText();
    }

    private static List<object> Split(RenderState state, MarkedText text, MarkedText? separator, long most)
    {
        List<object> parts = [];
        int at = 0;
        if (separator is null)
        {
            while (true)
            {
                while (at < text.Length && Python.IsSpace(text.Value[at])) at++;
                if (at == text.Length) return parts;
                int end = at;
                if (parts.Count == most) end = text.Length;
                while (end < text.Length && !Python.IsSpace(text.Value[end])) end++;
                parts.Add(text.Slice(at, end));
                state.Spend(2);
                at = end;
            }
        }

        if (separator.Length == 0) throw new JinjaException("split(): the separator is empty.");
        while (parts.Count != most && text.Value.IndexOf(separator.Value, at, StringComparison.Ordinal) is var found and >= 0)
        {
            parts.Add(text.Slice(at, found));
            state.Spend(2);
            at = found + separator.Length;
        }

        parts.Add(text.Slice(at, text.Length));
        return parts;
    }

    private static List<object> SplitFromEnd(RenderState state, MarkedText text, MarkedText? separator, long most)
    {
        if (most < 0) return Split(state, text, separator, most);
        List<object> parts = [];
        int end = text.Length;
        if (separator is null)
        {
            while (true)
            {
                while (end > 0 && Python.IsSpace(text.Value[end - 1])) end--;
                if (end == 0) break;
                int from = parts.Count == most ? 0 : end;
                while (from > 0 && !Python.IsSpace(text.Value[from - 1])) from--;
                parts.Insert(0, text.Slice(from, end));
                state.Spend(2 + (parts.Count / 4));
                end = from;
            }

            return parts;
        }

        if (separator.Length == 0) throw new JinjaException("rsplit(): the separator is empty.");
        while (parts.Count != most && end >= separator.Length
            && text.Value.LastIndexOf(separator.Value, end - 1, end, StringComparison.Ordinal) is var found and >= 0)
        {
            parts.Insert(0, text.Slice(found + separator.Length, end));
            state.Spend(2 + (parts.Count / 4));
            end = found;
        }

        parts.Insert(0, text.Slice(0, end));
        return parts;
    }

    private static List<object> Lines(MarkedText text, bool keep)
    {
        List<object> lines = [];
        string value = text.Value;
        for (int at = 0; at < value.Length;)
        {
            int end = value.AsSpan(at).IndexOfAny("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029") is var i and >= 0 ? at + i : value.Length;
            int next = end == value.Length ? end : value.AsSpan(end).StartsWith("\r\n") ? end + 2 : end + 1;
            lines.Add(text.Slice(at, keep ? next : end));
            at = next;
        }

        return lines;
    }

    private static ListValue Partition(MarkedText text, MarkedText separator, bool last)
    {
        if (separator.Length == 0) throw new JinjaException("partition(): the separator is empty.");
        int at = last ? text.Value.LastIndexOf(separator.Value, StringComparison.Ordinal)
            : text.Value.IndexOf(separator.Value, StringComparison.Ordinal);
        object[] parts = at >= 0
            ? [text.Slice(0, at), text.Slice(at, at + separator.Length), text.Slice(at + separator.Length, text.Length)]
            : last ? [MarkedText.Empty, MarkedText.Empty, text] : [text, MarkedText.Empty, MarkedText.Empty];
        return new(parts, ListKind.Tuple);
    }

    private static long Find(MarkedText text, Arguments arguments, bool last)
    {
        string wanted = arguments.Only("sub", "start", "end").Text(0, "sub").Value;
        long count = Python.CodePoints(text.Value);
        long start = Bound(arguments.Integer(1, "start", 0)), end = Bound(arguments.Integer(2, "end", count));
        if (start > end) return -1;
        int from = Python.Unit(text.Value, start);
        string part = text.Value[from..Python.Unit(text.Value, end)];
        int at = last ? part.LastIndexOf(wanted, StringComparison.Ordinal) : part.IndexOf(wanted, StringComparison.Ordinal);
        return at < 0 ? -1 : start + Python.CodePoints(part[..at]);

        long Bound(long index) => Math.Clamp(index < 0 ? index + count : index, 0, count);
    }

    private static long Count(string text, string wanted)
    {
        if (wanted.Length == 0) return Python.CodePoints(text) + 1L;
        long count = 0;
        for (int at = 0; text.IndexOf(wanted, at, StringComparison.Ordinal) is var found and >= 0; at = found + wanted.Length) count++;
        return count;
    }

    private static MarkedText Fill(RenderState state, MarkedText text, long width)
    {
        long missing = width - Python.CodePoints(text.Value);
        if (missing <= 0) return text;
        state.Spend(missing / 4);
        int sign = text.Length > 0 && text.Value[0] is '+' or '-' ? 1 : 0;
        return text.Slice(0, sign).Append(MarkedText.OfTemplate(new string('0', (int)missing))).Append(text.Slice(sign, text.Length));
    }

    /// <summary>Pads a text to a width, with that many halves of the padding to its left.</summary>
    private static MarkedText Pad(RenderState state, MarkedText text, Arguments arguments, int left)
    {
        long missing = arguments.Only("width", "fillchar").Integer(0, "width", 0) - Python.CodePoints(text.Value);
        string fill = arguments.OptionalText(1, "fillchar")?.Value ?? " ";
        if (Python.CodePoints(fill) != 1) throw new JinjaException("The character that fills is not one character.");
        if (missing <= 0) return text;
        state.Spend(missing / 4);
        // Python's center gives the odd one to the left if the width is odd.
        long before = left == 1 ? (missing / 2) + (missing & arguments.Integer(0, "width", 0) & 1) : missing * left / 2;
        return Of(before).Append(text).Append(Of(missing - before));

        MarkedText Of(long count) => MarkedText.OfTemplate(new StringBuilder().Insert(0, fill, (int)count).ToString());
    }

    private static MarkedText[] Affixes(Arguments arguments) => arguments.Only("affix").Required(0, "affix") switch
    {
        MarkedText text => [text],
        ListValue { Kind: ListKind.Tuple } tuple => [.. tuple.Items.Select(item => item as MarkedText ?? throw Wrong(item))],
        { } other => throw Wrong(other),
    };

    private static JinjaException Wrong(object value) =>
        value is Undefined undefined
            ? undefined.Error() : new($"startswith() and endswith() take a string or a tuple of strings, not {Python.TypeOf(value)}.");

    private static object AllRunes(MarkedText text, Func<Rune, bool> passes) =>
        Python.Of(text.Length > 0 && text.Value.EnumerateRunes().All(passes));
}
