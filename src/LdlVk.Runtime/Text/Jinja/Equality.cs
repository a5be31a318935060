namespace LdlVk.Runtime.Text.Jinja;

/// <summary>Python's ==, order and hash.</summary>
internal static class Equality
{
    /// <summary>Compares keys of a dict, which are strings, numbers, booleans or None here.</summary>
    public static readonly IEqualityComparer<object> Keys = new KeyComparer();

    public static bool IsKey(object value) => value is MarkedText or bool or long or double or None;

    public static bool AreEqual(RenderState state, object a, object b)
    {
        state.Step();
        if (AreEqualScalars(a, b)) return true;
        RenderState.Descend();
        switch (a, b)
        {
            case (ListValue s, ListValue t):
                if (s.Kind != t.Kind || s.Items.Count != t.Items.Count) return false;
                for (int i = 0; i < s.Items.Count; i++)
                    if (!AreEqual(state, s.Items[i], t.Items[i])) return false;
                return true;
            case (DictValue s, DictValue t):
                return s.Items.Count == t.Items.Count
                    && s.Items.All(item => t.Find(item.Key) is { } other && AreEqual(state, item.Value, other));
            default: return false;
        }
    }

    /// <summary>Negative, 0 or positive as a is less than, equal to or more than b.</summary>
    /// <exception cref="JinjaException">They have no order.</exception>
    public static int Compare(RenderState state, object a, object b)
    {
        state.Step();
        if (Number(a) is { } x && Number(b) is { } y) return IsWhole(a) && IsWhole(b) ? Whole(a).CompareTo(Whole(b)) : x.CompareTo(y);
        RenderState.Descend();
        switch (a, b)
        {
            case (MarkedText s, MarkedText t): return CompareCodePoints(s.Value, t.Value);
            case (ListValue s, ListValue t) when s.Kind == t.Kind && s.Kind != ListKind.View:
                for (int i = 0; i < s.Items.Count && i < t.Items.Count; i++)
                    if (!AreEqual(state, s.Items[i], t.Items[i])) return Compare(state, s.Items[i], t.Items[i]);
                return s.Items.Count.CompareTo(t.Items.Count);
            case (Undefined u, _): throw u.Error();
            case (_, Undefined u): throw u.Error();
            default: throw new JinjaException($"{Python.TypeOf(a)} and {Python.TypeOf(b)} have no order.");
        }
    }

    /// <summary>A number or a boolean as a float; null for another value.</summary>
    public static double? Number(object value) => value switch { bool b => b ? 1 : 0, long n => n, double d => d, _ => null };

    /// <summary>Whether a value is an integer or a boolean, which Python counts among them.</summary>
    public static bool IsWhole(object value) => value is long or bool;

    public static long Whole(object value) => value is bool b ? b ? 1 : 0 : (long)value;

    private static bool AreEqualScalars(object a, object b)
    {
        if (ReferenceEquals(a, b)) return a is not double.NaN;
        if (Number(a) is { } x && Number(b) is { } y) return IsWhole(a) && IsWhole(b) ? Whole(a) == Whole(b) : x == y;
        return (a, b) is (MarkedText s, MarkedText t) ? s.Value == t.Value : (a, b) is (Undefined, Undefined);
    }

    /// <summary>The order of code points, which is not that of UTF-16 units: surrogates stand below U+E000.</summary>
    private static int CompareCodePoints(string a, string b)
    {
        int i = 0;
        while (i < a.Length && i < b.Length && a[i] == b[i]) i++;
        if (i == a.Length || i == b.Length) return a.Length.CompareTo(b.Length);
        bool first = char.IsSurrogate(a[i]), second = char.IsSurrogate(b[i]);
        return first != second ? first ? 1 : -1 : a[i].CompareTo(b[i]);
    }

    private sealed class KeyComparer : IEqualityComparer<object>
    {
        bool IEqualityComparer<object>.Equals(object? x, object? y) => AreEqualScalars(x!, y!);

        int IEqualityComparer<object>.GetHashCode(object value) => value switch
        {
            bool or long or double => Number(value).GetHashCode(),
            MarkedText or None => value.GetHashCode(),
            _ => throw new JinjaException($"{Python.TypeOf(value)} cannot be a key of a dict."),
        };
    }
}
