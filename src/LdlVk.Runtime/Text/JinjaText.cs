using System.Text;

namespace LdlVk.Runtime.Text;

/// <summary>
/// Compares Jinja templates, ignoring white space that does not reach their output. transformers renders with trim_blocks and
/// lstrip_blocks: the newline after a <c>{% block %}</c> and the indentation before it print nothing. White space inside string
/// literals, after <c>{{ print }}</c> and in text is printed, and therefore makes templates differ.
/// </summary>
internal static class JinjaText
{
    internal static bool Same(string a, string b) => Canonical(a) == Canonical(b);

    /// <summary>Returns the canonical form: the text and tags of the template in order, without white space that prints nothing.</summary>
    internal static string Canonical(string template)
    {
        template = template.ReplaceLineEndings("\n");
        if (template.EndsWith('\n')) template = template[..^1]; // keep_trailing_newline is off
        StringBuilder output = new();
        bool trimStart = false, afterBlock = false;
        for (int at = 0; at < template.Length;)
        {
            int open = NextTag(template, at);
            int tagEnd = open < template.Length ? TagEnd(template, open) : open;
            ReadOnlySpan<char> text = template.AsSpan(at, open - at);
            ReadOnlySpan<char> tag = template.AsSpan(open, tagEnd - open);
            bool block = tag.Length > 1 && tag[1] != '{'; // {% … %} and {# … #}
            bool startsLine = at == 0; // a block's indentation may follow the last newline of the text

            if (trimStart) text = text.TrimStart();
            else if (afterBlock && text.StartsWith("\n"))
            {
                text = text[1..];
                startsLine = true;
            }
            if (tag.Length > 2 && tag[2] == '-') text = text.TrimEnd();
            else if (block && !(tag.Length > 2 && tag[2] == '+'))
            {
                ReadOnlySpan<char> kept = text.TrimEnd(" \t");
                if (kept.EndsWith("\n") || (kept.IsEmpty && startsLine)) text = kept;
            }

            output.Append(text);
            if (!tag.StartsWith("{#")) AppendTag(output, tag);
            trimStart = tag.Length > 4 && tag[^3] == '-';
            afterBlock = block && !(tag.Length > 4 && tag[^3] == '+');
            at = tagEnd;
        }
        return output.ToString();
    }

    private static int NextTag(string template, int from)
    {
        for (int i = from; i + 1 < template.Length; i++)
            if (template[i] == '{' && template[i + 1] is '{' or '%' or '#') return i;
        return template.Length;
    }

    // The position after the tag that opens at open; a closing mark inside a string literal does not count.
    private static int TagEnd(string template, int open)
    {
        char mark = template[open + 1] == '{' ? '}' : template[open + 1];
        for (int i = open + 2; i + 1 < template.Length; i++)
        {
            if (template[i] == mark && template[i + 1] == '}') return i + 2;
            if (mark != '#' && template[i] is '\'' or '"') i = LiteralEnd(template, i) - 1;
        }
        return template.Length;
    }

    private static int LiteralEnd(ReadOnlySpan<char> text, int open)
    {
        int i = open + 1;
        while (i < text.Length && text[i] != text[open]) i += text[i] == '\\' ? 2 : 1;
        return Math.Min(i + 1, text.Length);
    }

    // Code without white space and trim marks. Literals are unchanged, except that a raw newline and an escaped one are the same.
    private static void AppendTag(StringBuilder output, ReadOnlySpan<char> tag)
    {
        for (int i = 0; i < tag.Length; i++)
        {
            bool trimMark = tag[i] is '-' or '+' && (i == 2 || i == tag.Length - 3);
            if (tag[i] is '\'' or '"')
            {
                int end = LiteralEnd(tag, i);
                output.Append(tag[i..end].ToString().Replace("\n", "\\n", StringComparison.Ordinal));
                i = end - 1;
            }
            else if (!char.IsWhiteSpace(tag[i]) && !trimMark) output.Append(tag[i]);
        }
    }
}
