using System.Globalization;
using System.Text;

namespace LdlVk.Runtime.Text.Jinja;

/// <summary>Python's <c>"%s" % value</c>, <c>"{}".format(value)</c> and <c>strftime</c>.</summary>
internal static class Formatting
{
    /// <summary>The operator %: <c>%s %r %d %i %f %x %%</c>, with flags, width and precision, of a value, a tuple or a dict.</summary>
    public static MarkedText Percent(RenderState state, MarkedText format, object arguments)
    {
        IReadOnlyList<object> values = arguments is ListValue { Kind: ListKind.Tuple } tuple ? tuple.Items : [arguments];
        int next = 0;
        MarkedTextBuilder output = new();
        string text = format.Value;
        for (int at = 0; at < text.Length;)
        {
            int sign = text.IndexOf('%', at);
            if (sign < 0) sign = text.Length;
            output.Append(format.Slice(at, sign));
            if (sign == text.Length) break;
            at = sign + 1;
            object? named = null;
            if (at < text.Length && text[at] == '(')
            {
                int close = text.IndexOf(')', at);
                if (close < 0) throw new JinjaException("A format has %( without ).");
                string key = text[(at + 1)..close];
                named = Python.Item(arguments, MarkedText.OfTemplate(key))
                    ?? throw new JinjaException($"The format's \"{key}\" is not among its values.");
                at = close + 1;
            }

            int from = at;
            while (at < text.Length && (char.IsAsciiDigit(text[at]) || text[at] is '-' or '+' or ' ' or '0' or '#' or '.')) at++;
            if (at == text.Length) throw new JinjaException("A format ends in the middle.");
            char kind = text[at++];
            if (kind == '%')
            {
                output.Append("%");
                continue;
            }

            object value = named
                ?? (next < values.Count ? values[next++] : throw new JinjaException("A format has more places than values."));
            // The same as a specification of format(), where - is < and the default of a string is to the right.
            string flags = text[from..(at - 1)];
            bool left = flags.Contains('-', StringComparison.Ordinal);
            output.Append(Field(state, value, (left ? "<" : ">") + flags.Replace("-", "", StringComparison.Ordinal).TrimStart('#'), kind));
        }

        if (arguments is ListValue { Kind: ListKind.Tuple } && next < values.Count)
            throw new JinjaException("A format has fewer places than values.");
        return output.ToText();
    }

    /// <summary>str.format: <c>{}</c>, <c>{0}</c>, <c>{name}</c>, each with a specification.</summary>
    public static MarkedText Braces(RenderState state, MarkedText format, Arguments arguments)
    {
        int next = 0;
        MarkedTextBuilder output = new();
        string text = format.Value;
        for (int at = 0; at < text.Length; at++)
        {
            if (text[at] is not ('{' or '}'))
            {
                output.Append(format.Slice(at, at + 1));
                continue;
            }

            if (at + 1 < text.Length && text[at + 1] == text[at])
            {
                output.Append(format.Slice(at, ++at));
                continue;
            }

            int close = text[at] == '{' ? text.IndexOf('}', at) : -1;
            if (close < 0) throw new JinjaException($"A format has {text[at]} alone.");
            string[] field = text[(at + 1)..close].Split(':', 2);
            object value = field[0].Length == 0 ? Positional(next++)
                : int.TryParse(field[0], CultureInfo.InvariantCulture, out int index) ? Positional(index)
                : arguments.Find(int.MaxValue, field[0])
                    ?? throw new JinjaException($"The format's \"{field[0]}\" is not among its values.");
            string specification = field.Length > 1 ? field[1] : "";
            bool hasKind = specification.Length > 0 && (char.IsAsciiLetter(specification[^1]) || specification[^1] == '%');
            output.Append(Field(state, value, hasKind ? specification[..^1] : specification, hasKind ? specification[^1] : '\0'));
            at = close;
        }

        return output.ToText();

        object Positional(int index) => index < arguments.Positional.Count
            ? arguments.Positional[index] : throw new JinjaException("A format has more places than values.");
    }

    /// <summary>A value by a specification, <c>[[fill]align][sign][0][width][,][.precision]</c>, and the letter of its kind.</summary>
    private static MarkedText Field(RenderState state, object value, string specification, char kind)
    {
        if (value is Undefined undefined && kind is not ('s' or '\0')) throw undefined.Error();
        int at = 0;
        char fill = ' ', align = '\0';
        if (specification.Length > 1 && specification[1] is '<' or '>' or '^') (fill, align, at) = (specification[0], specification[1], 2);
        else if (specification.Length > 0 && specification[0] is '<' or '>' or '^') (align, at) = (specification[0], 1);
        bool plus = Take('+'), space = Take(' ');
        bool zeros = Take('0');
        int width = Number() ?? 0;
        bool thousands = Take(',');
        int? precision = Take('.') ? Number() ?? 0 : null;
        if (at < specification.Length) throw new JinjaException($"The format {Shown.Quoted(specification)} is not known here.");
        bool isNumber = Equality.Number(value) is not null && kind is not ('s' or 'r');
        MarkedText text = kind switch
        {
            'r' => PythonText.Of(state, new ListValue([value])) is var list ? list.Slice(1, list.Length - 1) : MarkedText.Empty,
            's' => Cut(PythonText.Of(state, value)),
            '\0' when value is not (long or double) => Cut(PythonText.Of(state, value)),
            '\0' when value is double d && precision is null => MarkedText.OfTemplate(PythonText.Of(d)),
            'd' or 'i' or 'u' or '\0' when Equality.IsWhole(value) =>
                Digits(((System.Numerics.BigInteger)Equality.Whole(value)).ToString(thousands ? "N0" : "D", CultureInfo.InvariantCulture)),
            'd' or 'i' or 'u' when value is double d =>
                Digits(Math.Truncate(d).ToString(thousands ? "N0" : "F0", CultureInfo.InvariantCulture)),
            'x' or 'X' when value is long n && n >= 0 => Digits(n.ToString(kind.ToString(), CultureInfo.InvariantCulture)),
            'f' or 'F' when isNumber => Digits(Real(Equality.Number(value)!.Value)),
            '%' when isNumber => Digits(Real(Equality.Number(value)!.Value * 100) + "%"),
            _ => throw new JinjaException($"The format \"{kind}\" of {Python.TypeOf(value)} is not known here."),
        };
        int missing = width - Python.CodePoints(text.Value);
        if (missing <= 0) return text;
        state.Spend(missing / 4);
        if (zeros && isNumber && (align is '\0' or '>'))
        {
            int sign = text.Value[0] is '-' or '+' or ' ' ? 1 : 0;
            return text.Slice(0, sign).Append(MarkedText.OfTemplate(new string('0', missing))).Append(text.Slice(sign, text.Length));
        }

        if (align == '\0') align = isNumber ? '>' : '<';
        int before = align == '<' ? 0 : align == '>' ? missing : missing / 2;
        return Of(before).Append(text).Append(Of(missing - before));

        MarkedText Of(int count) => MarkedText.OfTemplate(new string(fill, count));

        MarkedText Cut(MarkedText whole) => precision is { } most ? whole.Slice(0, Python.Unit(whole.Value, most)) : whole;

        MarkedText Digits(string digits) => MarkedText.OfTemplate(digits[0] == '-' ? digits : (plus ? "+" : space ? " " : "") + digits);

        string Real(double number) => double.IsFinite(number)
            ? number.ToString($"{(thousands ? 'N' : 'F')}{Math.Min(precision ?? 6, 100)}", CultureInfo.InvariantCulture)
            : PythonText.Of(number);

        bool Take(char c)
        {
            if (at >= specification.Length || specification[at] != c) return false;
            at++;
            return true;
        }

        int? Number()
        {
            int from = at;
            while (at < specification.Length && char.IsAsciiDigit(specification[at])) at++;
            if (at == from) return null;
            return int.TryParse(specification.AsSpan(from, at - from), CultureInfo.InvariantCulture, out int number)
                ? number : throw new JinjaException("The width of a format is too large.");
        }
    }

    /// <summary>datetime.strftime in the C locale, with glibc's <c>-</c> for numbers without zeros.</summary>
    public static string Date(DateTime date, string format)
    {
        StringBuilder output = new();
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                output.Append(format[i]);
                continue;
            }

            bool bare = format[++i] == '-' && i + 1 < format.Length;
            if (bare) i++;
            string part = Part(date, format[i]) ?? throw new JinjaException($"strftime_now: \"%{format[i]}\" is not known here.");
            output.Append(bare && part.Length > 1 ? part.TrimStart('0') is { Length: > 0 } rest ? rest : "0" : part);
        }

        return output.ToString();
    }

    private static string? Part(DateTime date, char letter)
    {
        return letter switch
        {
            'Y' => Of("yyyy"),
            'y' => Of("yy"),
            'm' => Of("MM"),
            'd' => Of("dd"),
            'e' => date.Day.ToString(CultureInfo.InvariantCulture).PadLeft(2),
            'B' => Of("MMMM"),
            'b' or 'h' => Of("MMM"),
            'A' => Of("dddd"),
            'a' => Of("ddd"),
            'H' => Of("HH"),
            'I' => Of("hh"),
            'M' => Of("mm"),
            'S' => Of("ss"),
            'f' => Of("ffffff"),
            'p' => date.Hour < 12 ? "AM" : "PM",
            'j' => date.DayOfYear.ToString("000", CultureInfo.InvariantCulture),
            'w' => ((int)date.DayOfWeek).ToString(CultureInfo.InvariantCulture),
            'u' => (date.DayOfWeek == DayOfWeek.Sunday ? 7 : (int)date.DayOfWeek).ToString(CultureInfo.InvariantCulture),
            'F' => Of("yyyy-MM-dd"),
            'D' or 'x' => Of("MM/dd/yy"),
            'T' or 'X' => Of("HH:mm:ss"),
            'R' => Of("HH:mm"),
            'c' => $"{Of("ddd MMM")} {date.Day,2} {Of("HH:mm:ss yyyy")}",
            'Z' or 'z' => "",
            'n' => "\n",
            't' => "\t",
            '%' => "%",
            _ => null,
        };

        string Of(string custom) => date.ToString(custom.Length == 1 ? $"%{custom}" : custom, CultureInfo.InvariantCulture);
    }
}
