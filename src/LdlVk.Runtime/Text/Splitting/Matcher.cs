using System.Text;
using LdlVk.Runtime.Text.Patterns;

namespace LdlVk.Runtime.Text.Splitting;

/// <summary>Finds parts of a text. Thread-safe.</summary>
internal abstract class Matcher
{
    /// <summary>Finds the first match that begins at <paramref name="from"/> or behind it.</summary>
    /// <exception cref="InputException">It takes too many steps.</exception>
    public abstract bool Find(ReadOnlySpan<char> text, int from, MatchState state, out int start, out int end);
}

/// <summary>Finds a string.</summary>
internal sealed class LiteralMatcher(string literal) : Matcher
{
    public override bool Find(ReadOnlySpan<char> text, int from, MatchState state, out int start, out int end)
    {
        int at = text[from..].IndexOf(literal, StringComparison.Ordinal);
        (start, end) = at < 0 ? (-1, -1) : (from + at, from + at + literal.Length);
        return at >= 0;
    }
}

/// <summary>Finds single characters.</summary>
internal sealed class CharacterMatcher(CharacterSet set) : Matcher
{
    public override bool Find(ReadOnlySpan<char> text, int from, MatchState state, out int start, out int end)
    {
        for (start = from; start < text.Length; start = end)
        {
            Rune.DecodeFromUtf16(text[start..], out Rune rune, out int length);
            end = start + length;
            if (set.Contains(rune.Value)) return true;
        }

        end = -1;
        return false;
    }
}

/// <summary>Finds words, and runs of what is neither in words nor white space: <c>\w+|[^\w\s]+</c> as Rust's regex has it.</summary>
internal sealed class WordMatcher : Matcher
{
    public override bool Find(ReadOnlySpan<char> text, int from, MatchState state, out int start, out int end)
    {
        start = from;
        while (start < text.Length && char.IsWhiteSpace(text[start])) start++;
        end = start;
        bool? isWord = null;
        while (end < text.Length && !char.IsWhiteSpace(text[end]))
        {
            Rune.DecodeFromUtf16(text[end..], out Rune rune, out int length);
            bool now = AddedToken.IsWordCharacter(rune);
            if (isWord is { } before && before != now) break;
            (isWord, end) = (now, end + length);
        }

        return end > start;
    }
}

/// <summary>Goes from match to match. An empty match right behind another is none.</summary>
internal ref struct MatchCursor
{
    private readonly Matcher _matcher;
    private readonly MatchState _state;
    private int _from, _last = -1;

    /// <param name="matcher">What to find.</param>
    /// <param name="length">Length of the text, which the work is limited by.</param>
    /// <param name="state">The work that is left; it is given the work for this text.</param>
    public MatchCursor(Matcher matcher, int length, MatchState state)
    {
        (_matcher, _state) = (matcher, state);
        state.Steps += Pattern.StepsPerCharacter * (long)length;
    }

    /// <summary>Where the match begins.</summary>
    public int Start { get; private set; }

    /// <summary>Where the match ends.</summary>
    public int End { get; private set; }

    /// <summary>Finds the next match.</summary>
    public bool Next(ReadOnlySpan<char> text)
    {
        while (_from <= text.Length && _matcher.Find(text, _from, _state, out int start, out int end))
        {
            _from = end;
            if (start == end)
            {
                // The search goes on behind the next character, but the match may be one at its place.
                if (end == _last)
                {
                    _from += end < text.Length && char.IsHighSurrogate(text[end]) ? 2 : 1;
                    continue;
                }
            }

            (Start, End, _last) = (start, end, end);
            return true;
        }

        return false;
    }
}
