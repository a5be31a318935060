using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace LdlVk.Evaluation.Reports;

/// <summary>
/// A fragment of HTML. It is made from an interpolated string, whose values are escaped unless they are fragments themselves: no external
/// text can become markup.
/// </summary>
internal readonly struct Html
{
    private readonly string? _markup;

    private Html(string markup) => _markup = markup;

    /// <summary>The empty fragment.</summary>
    public static Html Empty => default;

    /// <summary>Creates a fragment: <c>Html.Of($"&lt;td&gt;{text}&lt;/td&gt;")</c>.</summary>
    public static Html Of(Builder markup) => new(markup.Markup);

    /// <summary>Creates a fragment from a constant without escaping, for the style sheet.</summary>
    public static Html Verbatim(string markup) => new(markup);

    /// <summary>Concatenates fragments.</summary>
    public static Html Join(IEnumerable<Html> pieces) => new(string.Concat(pieces.Select(p => p.ToString())));

    /// <summary>The markup.</summary>
    public override string ToString() => _markup ?? "";

    /// <summary>Converts text to markup: escapes the special characters of HTML, and shows control characters as symbols.</summary>
    private static void Escape(StringBuilder to, string text)
    {
        foreach (char c in text)
        {
            switch (c)
            {
                case '&': to.Append("&amp;"); break;
                case '<': to.Append("&lt;"); break;
                case '>': to.Append("&gt;"); break;
                case '"': to.Append("&quot;"); break;
                case '\'': to.Append("&#39;"); break;
                case '\n' or '\t': to.Append(c); break;
                case '\r': break;
                case < ' ': to.Append((char)(c + '\u2400')); break; // its symbol, such as ␀
                case '\x7f': to.Append('\u2421'); break;
                case >= '\x80' and < '\xa0': to.Append('\ufffd'); break;
                // Marks that change the text direction could disguise a text.
                case >= '\u202a' and <= '\u202e' or >= '\u2066' and <= '\u2069': to.Append('\ufffd'); break;
                default: to.Append(c); break;
            }
        }
    }

    /// <summary>Interpolated-string handler that escapes the values.</summary>
    [InterpolatedStringHandler]
    internal readonly ref struct Builder(int literalLength, int holes)
    {
        private readonly StringBuilder _markup = new(literalLength + (16 * holes));

        public string Markup => _markup.ToString();

        public void AppendLiteral(string markup) => _markup.Append(markup);

        public void AppendFormatted(Html piece) => _markup.Append(piece.ToString());

        public void AppendFormatted(string? text) => Escape(_markup, text ?? "");

        public void AppendFormatted(double number, string? format = "0.##") =>
            _markup.Append(number.ToString(format, CultureInfo.InvariantCulture));

        public void AppendFormatted(long number, string? format = null) =>
            _markup.Append(number.ToString(format, CultureInfo.InvariantCulture));
    }
}
