namespace LdlVk.Runtime.Text.Jinja;

/// <summary>The operators of Python between values.</summary>
internal static class Operators
{
    public static object Add(RenderState state, object a, object b)
    {
        if (a is MarkedText s && b is MarkedText t)
        {
            state.Spend((s.Length + t.Length) / 4);
            return s.Append(t);
        }

        if (a is ListValue { Kind: not ListKind.View } x && b is ListValue y && x.Kind == y.Kind)
        {
            state.Spend((x.Items.Count + y.Items.Count) * 2L);
            return new ListValue([.. x.Items, .. y.Items], x.Kind);
        }

        return Arithmetic("+", a, b, (m, n) => checked(m + n), (m, n) => m + n);
    }

    public static object Subtract(object a, object b) => Arithmetic("-", a, b, (m, n) => checked(m - n), (m, n) => m - n);

    public static object Multiply(RenderState state, object a, object b)
    {
        if (a is MarkedText or ListValue && Equality.IsWhole(b)) return Repeat(state, a, Equality.Whole(b));
        if (b is MarkedText or ListValue && Equality.IsWhole(a)) return Repeat(state, b, Equality.Whole(a));
        return Arithmetic("*", a, b, (m, n) => checked(m * n), (m, n) => m * n);
    }

    public static object Divide(object a, object b)
    {
        (double m, double n) = Numbers("/", a, b);
        return n == 0 ? throw ByZero() : m / n;
    }

    public static object FloorDivide(object a, object b) => Arithmetic(
        "//", a, b, (m, n) => n == 0 ? throw ByZero() : FloorDivide(m, n), (m, n) => n == 0 ? throw ByZero() : Math.Floor(m / n));

    public static object Modulo(RenderState state, object a, object b)
    {
        if (a is MarkedText format) return state.Made(Formatting.Percent(state, format, b));
        return Arithmetic(
            "%",
            a,
            b,
            (m, n) => n == 0 ? throw ByZero() : n == -1 ? 0 : Modulo(m, n),
            (m, n) => n == 0 ? throw ByZero() : m - (n * Math.Floor(m / n)));
    }

    public static object Power(object a, object b)
    {
        (double m, double n) = Numbers("**", a, b);
        if (!Equality.IsWhole(a) || !Equality.IsWhole(b) || n < 0) return Math.Pow(m, n);
        return Guard(() =>
        {
            long power = 1, of = Equality.Whole(a), times = Equality.Whole(b);
            if (of is 0 or 1 or -1) times = times == 0 ? 0 : 2 - (times % 2); // 64 bits hold no long power of another
            for (long i = 0; i < times; i++) power = checked(power * of);
            return power;
        });
    }

    public static object Negate(object a) => a switch
    {
        double d => -d,
        _ when Equality.IsWhole(a) => Guard(() => checked(-Equality.Whole(a))),
        Undefined u => throw u.Error(),
        _ => throw new JinjaException($"- stands before {Python.TypeOf(a)}."),
    };

    public static object Plus(object a) => a switch
    {
        double => a,
        _ when Equality.IsWhole(a) => Equality.Whole(a),
        Undefined u => throw u.Error(),
        _ => throw new JinjaException($"+ stands before {Python.TypeOf(a)}."),
    };

    /// <summary>Whether a is in b: a part of a string, an element of a list, a key of a dict.</summary>
    public static bool Contains(RenderState state, object b, object a)
    {
        switch (b)
        {
            case MarkedText text:
                state.Spend(text.Length / 16);
                return a switch
                {
                    MarkedText part => text.Value.Contains(part.Value, StringComparison.Ordinal),
                    Undefined u => throw u.Error(),
                    _ => throw new JinjaException($"{Python.TypeOf(a)} cannot be in a string."),
                };
            case DictValue dict:
                if (!Equality.IsKey(a)) throw new JinjaException($"{Python.TypeOf(a)} cannot be a key of a dict.");
                return dict.Find(a) is not null;
            case ListValue or Generator or Undefined: return Python.Iterate(b).Any(item => Equality.AreEqual(state, item, a));
            default: throw new JinjaException($"Nothing can be in {Python.TypeOf(b)}.");
        }
    }

    private static object Repeat(RenderState state, object value, long times)
    {
        times = Math.Max(times, 0);
        long length = value is MarkedText { Length: var characters } ? characters : Python.Length(value) * 8;
        if (length > 0 && times > long.MaxValue / length) throw Overflow();
        state.Spend(length * times / 4);
        if (value is ListValue { Kind: not ListKind.View } list)
            return new ListValue([.. Enumerable.Repeat(list.Items, (int)times).SelectMany(items => items)], list.Kind);
        if (value is not MarkedText text) throw new JinjaException($"{Python.TypeOf(value)} cannot be repeated.");
        MarkedTextBuilder builder = new();
        for (long i = 0; i < times && length > 0; i++) builder.Append(text);
        return builder.ToText();
    }

    private static object Arithmetic(string name, object a, object b, Func<long, long, long> whole, Func<double, double, double> real)
    {
        (double x, double y) = Numbers(name, a, b);
        return Equality.IsWhole(a) && Equality.IsWhole(b) ? Guard(() => whole(Equality.Whole(a), Equality.Whole(b))) : real(x, y);
    }

    private static (double A, double B) Numbers(string name, object a, object b)
    {
        if (Equality.Number(a) is { } x && Equality.Number(b) is { } y) return (x, y);
        if (a is Undefined first) throw first.Error();
        if (b is Undefined second) throw second.Error();
        throw new JinjaException($"{name} stands between {Python.TypeOf(a)} and {Python.TypeOf(b)}.");
    }

    private static long Modulo(long m, long n) => m % n is var rest && rest != 0 && (rest < 0) != (n < 0) ? rest + n : rest;

    private static long FloorDivide(long m, long n) => checked(m / n) - (m % n != 0 && (m < 0) != (n < 0) ? 1 : 0);

    private static object Guard(Func<long> value)
    {
        try
        {
            return value();
        }
        catch (OverflowException)
        {
            throw Overflow();
        }
    }

    private static JinjaException ByZero() => new("A division by zero.");

    private static JinjaException Overflow() => new("An integer is larger than 64 bits hold.");
}
