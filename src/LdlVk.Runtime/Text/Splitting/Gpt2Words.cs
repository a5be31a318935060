using System.Globalization;
using System.Text;

namespace LdlVk.Runtime.Text.Splitting;

/// <summary>Splits text into the words of GPT-2's tokenizer: the matches of its regular expression, which cover any text.</summary>
internal sealed class Gpt2Words : WordSplitter
{
    /// <summary>The regular expression.</summary>
    public const string Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private enum Kind
    {
        End,
        Letter,
        Number,
        Space,
        Other,
    }

    /// <inheritdoc/>
    public override int Next(ReadOnlySpan<char> text)
    {
        if (text[0] == '\'' && text.Length > 1)
        {
            if (text[1] is 's' or 't' or 'm' or 'd') return 2;
            if (text.Length > 2 && (text[1], text[2]) is ('r', 'e') or ('v', 'e') or ('l', 'l')) return 3;
        }

        (Kind kind, int end) = At(text, 0);
        if (text[0] == ' ' && At(text, 1) is { Kind: not (Kind.Space or Kind.End) } second) (kind, end) = (second.Kind, 1 + second.Length);
        for ((Kind Kind, int Length) next = At(text, end); next.Kind == kind; next = At(text, end)) end += next.Length;
        // White space before a word leaves its last character to that word.
        return kind == Kind.Space && end > 1 && end < text.Length ? end - 1 : end;
    }

    private static (Kind Kind, int Length) At(ReadOnlySpan<char> text, int index)
    {
        if (index >= text.Length) return (Kind.End, 0);
        char c = text[index];
        if (char.IsAscii(c))
            return (char.IsAsciiLetter(c) ? Kind.Letter
                : char.IsAsciiDigit(c) ? Kind.Number
                : c is ' ' or (>= '\t' and <= '\r') ? Kind.Space
                : Kind.Other, 1);
        Rune.DecodeFromUtf16(text[index..], out Rune rune, out int length);
        if (Rune.IsWhiteSpace(rune)) return (Kind.Space, length);
        return (Rune.GetUnicodeCategory(rune) switch
        {
            <= UnicodeCategory.OtherLetter => Kind.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Kind.Number,
            _ => Kind.Other,
        }, length);
    }
}
