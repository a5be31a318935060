namespace LdlVk.Runtime.Text.Jinja;

/// <summary>Python's rules for truth, length, iteration, indices and white space.</summary>
internal static class Python
{
    public static readonly object True = true, False = false;

    public static object Of(bool value) => value ? True : False;

    public static object Of(string value) => MarkedText.OfTemplate(value);

    /// <summary>str.isspace, which also takes the separators \x1c … \x1f that are not white space in .NET.</summary>
    public static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\x1c' and <= '\x1f';

    public static string StripEnd(string text)
    {
        int end = text.Length;
        while (end > 0 && IsSpace(text[end - 1])) end--;
        return text[..end];
    }

    public static bool IsTrue(object value) => value switch
    {
        bool b => b,
        None or Undefined => false,
        long n => n != 0,
        double d => d != 0,
        MarkedText text => text.Length > 0,
        ListValue list => list.Items.Count > 0,
        DictValue dict => dict.Items.Count > 0,
        _ => true,
    };

    /// <summary>Name of a value's type, as messages say it.</summary>
    public static string TypeOf(object value) => value switch
    {
        None => "none",
        Undefined => "undefined",
        bool => "a boolean",
        long => "an integer",
        double => "a float",
        MarkedText => "a string",
        ListValue { Kind: ListKind.Tuple } => "a tuple",
        ListValue => "a list",
        DictValue => "a dict",
        Generator => "a generator",
        Namespace => "a namespace",
        LoopValue => "a loop",
        Function function => $"the function {function.Name}",
        _ => value.GetType().Name,
    };

    /// <summary>len(): of a string, its code points.</summary>
    public static long Length(object value) => value switch
    {
        MarkedText text => CodePoints(text.Value),
        ListValue list => list.Items.Count,
        DictValue dict => dict.Items.Count,
        Undefined => 0,
        _ => throw new JinjaException($"{TypeOf(value)} has no length."),
    };

    /// <summary>The elements of a list, the keys of a dict, the characters of a string.</summary>
    public static IEnumerable<object> Iterate(object value) => value switch
    {
        ListValue list => list.Items,
        DictValue dict => dict.Items.Keys,
        MarkedText text => Characters(text),
        Generator stream => stream,
        Undefined => [],
        _ => throw new JinjaException($"{TypeOf(value)} cannot be looped over."),
    };

    /// <summary>A list of the elements, paid for.</summary>
    public static ListValue List(RenderState state, object value)
    {
        List<object> items = [];
        foreach (object item in Iterate(value))
        {
            state.Spend(2);
            items.Add(item);
        }

        return new(items);
    }

    public static int CodePoints(string text)
    {
        int count = text.Length;
        for (int i = 1; i < text.Length; i++)
            if (char.IsSurrogatePair(text[i - 1], text[i])) count--;
        return count;
    }

    /// <summary>Index of the UTF-16 unit at which a code point begins.</summary>
    public static int Unit(string text, long codePoint)
    {
        int at = 0;
        for (long i = 0; i < codePoint && at < text.Length; i++) at += UnitsAt(text, at);
        return at;
    }

    private static int UnitsAt(string text, int at) => at + 1 < text.Length && char.IsSurrogatePair(text[at], text[at + 1]) ? 2 : 1;

    private static IEnumerable<object> Characters(MarkedText text)
    {
        for (int at = 0; at < text.Length;)
        {
            int end = at + UnitsAt(text.Value, at);
            yield return text.Slice(at, end);
            at = end;
        }
    }

    /// <summary>value[index]; null if there is no such item.</summary>
    public static object? Item(object value, object index)
    {
        switch (value)
        {
            case DictValue dict: return Equality.IsKey(index) ? dict.Find(index) : null;
            case Namespace space: return index is MarkedText name ? space.Attributes.GetValueOrDefault(name.Value) : null;
            case Undefined undefined: throw undefined.Error();
        }

        if ((index is bool b ? b ? 1 : 0 : index) is not long at) return null;
        switch (value)
        {
            case ListValue { Kind: not ListKind.View } list:
                if (at < 0) at += list.Items.Count;
                return at >= 0 && at < list.Items.Count ? list.Items[(int)at] : null;
            case MarkedText text:
                int count = CodePoints(text.Value);
                if (at < 0) at += count;
                if (at < 0 || at >= count) return null;
                return count == text.Length ? text.Slice((int)at, (int)at + 1) : text.Slice(Unit(text.Value, at), Unit(text.Value, at + 1));
            default: return null;
        }
    }

    /// <summary>value[start:stop:step].</summary>
    public static object Slice(RenderState state, object value, object? start, object? stop, object? step)
    {
        long by = Index(step) ?? 1;
        if (by == 0) throw new JinjaException("The step of a slice is 0.");
        long count = value is MarkedText or ListValue { Kind: not ListKind.View }
            ? Length(value) : throw new JinjaException($"{TypeOf(value)} cannot be sliced.");
        long from = Bound(Index(start), by > 0 ? 0 : count - 1), to = Bound(Index(stop), by > 0 ? count : -1);
        if (value is MarkedText text && by == 1)
            return from >= to ? MarkedText.Empty : state.Made(text.Slice(Unit(text.Value, from), Unit(text.Value, to)));
        List<object> taken = [];
        IReadOnlyList<object> items = value is ListValue list ? list.Items : List(state, value).Items;
        for (long i = from; by > 0 ? i < to : i > to; i += by) taken.Add(items[(int)i]);
        if (value is ListValue { Kind: var kind }) return state.Made(new ListValue(taken, kind));
        MarkedTextBuilder builder = new();
        foreach (object character in taken) builder.Append((MarkedText)character);
        return state.Made(builder.ToText());

        long Bound(long? index, long otherwise)
        {
            if (index is not { } at) return otherwise;
            if (at < 0) at += count;
            return by > 0 ? Math.Clamp(at, 0, count) : Math.Clamp(at, -1, count - 1);
        }
    }

    private static long? Index(object? value) => value switch
    {
        null or None => null,
        long n => n,
        bool b => b ? 1 : 0,
        _ => throw new JinjaException($"An index of a slice is {TypeOf(value)}."),
    };
}
