using System.Globalization;
using System.Text;

namespace LdlVk.Runtime.Text.Jinja;

/// <summary>Python's str() and repr().</summary>
internal static class PythonText
{
    /// <summary>What repr() writes as escapes; a space it does not.</summary>
    private static readonly UnicodeCategory[] Hidden =
    [
        UnicodeCategory.Control, UnicodeCategory.Format, UnicodeCategory.Surrogate, UnicodeCategory.PrivateUse,
        UnicodeCategory.OtherNotAssigned, UnicodeCategory.LineSeparator, UnicodeCategory.ParagraphSeparator, UnicodeCategory.SpaceSeparator,
    ];

    /// <summary>What <c>{{ value }}</c> prints.</summary>
    /// <exception cref="JinjaException">It is a function or another thing of which Python prints an address.</exception>
    public static MarkedText Of(RenderState state, object value)
    {
        switch (value)
        {
            case MarkedText text: return text;
            case Undefined: return MarkedText.Empty;
        }

        MarkedTextBuilder output = new();
        Write(state, output, value);
        return output.ToText();
    }

    /// <summary>The shortest digits of a float, as Python writes them: <c>1.0</c>, <c>1e+16</c>.</summary>
    public static string Of(double value)
    {
        if (double.IsNaN(value)) return "nan";
        if (double.IsInfinity(value)) return value > 0 ? "inf" : "-inf";
        if (value == 0) return double.IsNegative(value) ? "-0.0" : "0.0";
        // .NET's R has the shortest digits that are this number again, with another rule for the exponent.
        string[] shortest = value.ToString("R", CultureInfo.InvariantCulture).TrimStart('-').Split('E');
        string[] parts = shortest[0].Split('.');
        string all = string.Concat(parts), digits = all.TrimStart('0');
        int exponent = parts[0].Length - 1 - (all.Length - digits.Length)
            + (shortest.Length > 1 ? int.Parse(shortest[1], CultureInfo.InvariantCulture) : 0);
        digits = digits.TrimEnd('0');
        string sign = value < 0 ? "-" : "";
        if (exponent is < -4 or >= 16)
        {
            string fraction = digits.Length > 1 ? $".{digits[1..]}" : "";
            return $"{sign}{digits[0]}{fraction}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
        }

        if (exponent < 0) return $"{sign}0.{new string('0', -exponent - 1)}{digits}";
        return digits.Length <= exponent + 1
            ? $"{sign}{digits.PadRight(exponent + 1, '0')}.0"
            : $"{sign}{digits[..(exponent + 1)]}.{digits[(exponent + 1)..]}";
    }

    private static void Write(RenderState state, MarkedTextBuilder output, object value)
    {
        state.Step();
        RenderState.Descend();
        switch (value)
        {
            case None: output.Append("None"); break;
            case Undefined: output.Append("Undefined"); break;
            case bool b: output.Append(b ? "True" : "False"); break;
            case long n: output.Append(n.ToString(CultureInfo.InvariantCulture)); break;
            case double d: output.Append(Of(d)); break;
            case MarkedText text: Quote(state, output, text); break;
            case ListValue { Kind: not ListKind.View } list:
                bool tuple = list.Kind == ListKind.Tuple;
                output.Append(tuple ? "(" : "[");
                for (int i = 0; i < list.Items.Count; i++)
                {
                    if (i > 0) output.Append(", ");
                    Write(state, output, list.Items[i]);
                }

                output.Append(tuple ? list.Items.Count == 1 ? ",)" : ")" : "]");
                break;
            case DictValue dict:
                output.Append("{");
                bool first = true;
                foreach ((object key, object item) in dict.Items)
                {
                    if (!first) output.Append(", ");
                    first = false;
                    Write(state, output, key);
                    output.Append(": ");
                    Write(state, output, item);
                }

                output.Append("}");
                break;
            default: throw new JinjaException($"{Python.TypeOf(value)} cannot be printed.");
        }
    }

    private static void Quote(RenderState state, MarkedTextBuilder output, MarkedText text)
    {
        state.Spend(text.Length / 4);
        string value = text.Value;
        char quote = value.Contains('\'', StringComparison.Ordinal) && !value.Contains('"', StringComparison.Ordinal) ? '"' : '\'';
        output.Append(quote.ToString());
        int plain = 0;
        for (int i = 0; i < value.Length;)
        {
            bool valid = Rune.TryGetRuneAt(value, i, out Rune rune);
            int units = valid ? rune.Utf16SequenceLength : 1;
            UnicodeCategory category = valid ? Rune.GetUnicodeCategory(rune) : UnicodeCategory.Surrogate;
            string? escape = Escape(valid ? rune.Value : value[i], category, quote);
            if (escape is not null)
            {
                output.Append(text.Slice(plain, i)).Append(escape, typed: text.Typed.Length > 0);
                plain = i + units;
            }

            i += units;
        }

        output.Append(text.Slice(plain, value.Length)).Append(quote.ToString());
    }

    private static string? Escape(int code, UnicodeCategory category, char quote) => code switch
    {
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\\' => "\\\\",
        ' ' => null,
        _ when code == quote => $"\\{quote}",
        _ when Hidden.Contains(category) => code <= 0xff ? $"\\x{code:x2}" : code <= 0xffff ? $"\\u{code:x4}" : $"\\U{code:x8}",
        _ => null,
    };
}
