using System.Buffers;
using System.Text;
using LdlVk.Runtime.Text.Patterns;

namespace LdlVk.Runtime.Text;

/// <summary>A token that is found in a text as it is written, before words are cut.</summary>
/// <param name="Content">Its text.</param>
/// <param name="Id">Its id.</param>
/// <param name="IsSpecial">Whether it controls the model instead of representing text.</param>
/// <param name="IsNormalized">Whether it is looked for after the normalizer.</param>
/// <param name="IsWord">Whether it counts only where no letter or digit stands beside it.</param>
/// <param name="StripsLeft">Whether it takes the white space before it.</param>
/// <param name="StripsRight">Whether it takes the white space behind it.</param>
internal sealed record AddedToken(
    string Content, int Id, bool IsSpecial = false, bool IsNormalized = false, bool IsWord = false, bool StripsLeft = false,
    bool StripsRight = false)
{
    /// <summary>Whether a character counts as part of a word, beside a token that counts only as a word.</summary>
    public static bool IsWordCharacter(Rune rune) =>
        CharacterSet.IsWord(rune.Value, Rune.GetUnicodeCategory(rune)) || rune.Value is 0x200C or 0x200D;
}

/// <summary>
/// Finds added tokens (<c>&lt;bos&gt;</c>, <c>\n\n</c>, …) in a text: the leftmost match, and the longest of several at one position.
/// Thread-safe.
/// </summary>
internal sealed class AddedTokens
{
    // A trie: the child of a node for a character, and the token that ends at a node.
    private readonly Dictionary<(int Node, char Character), int> _children = [];
    private readonly List<AddedToken?> _tokens = [null];
    private readonly SearchValues<char> _firstCharacters;

    /// <param name="tokens">What is looked for, and the token that it is.</param>
    internal AddedTokens(IEnumerable<KeyValuePair<string, AddedToken>> tokens)
    {
        HashSet<char> first = [];
        foreach ((string pattern, AddedToken token) in tokens)
        {
            int node = 0;
            foreach (char c in pattern)
            {
                if (!_children.TryGetValue((node, c), out int child))
                {
                    child = _tokens.Count;
                    _children.Add((node, c), child);
                    _tokens.Add(null);
                }

                node = child;
            }

            _tokens[node] = token;
            first.Add(pattern[0]);
        }

        _firstCharacters = SearchValues.Create([.. first]);
    }

    /// <summary>Whether there are none.</summary>
    internal bool IsEmpty => _tokens.Count == 1;

    /// <summary>Finds the first token that begins at <paramref name="from"/> or behind it.</summary>
    /// <param name="text">The text.</param>
    /// <param name="from">Where to begin.</param>
    /// <param name="plain">The places at which special tokens are ordinary text.</param>
    /// <param name="start">Where the token begins.</param>
    /// <param name="length">Its length in the text.</param>
    internal AddedToken? Next(ReadOnlySpan<char> text, int from, PlainPlaces plain, out int start, out int length)
    {
        length = 0;
        for (start = from; start < text.Length; start++)
        {
            int skip = text[start..].IndexOfAny(_firstCharacters);
            if (skip < 0) break;
            start += skip;
            if (Longest(text[start..], plain.Has(start), out length) is { } token) return token;
        }

        return null;
    }

    private AddedToken? Longest(ReadOnlySpan<char> text, bool isPlain, out int length)
    {
        length = 0;
        AddedToken? longest = null;
        int node = 0;
        for (int i = 0; i < text.Length && _children.TryGetValue((node, text[i]), out node); i++)
        {
            if (_tokens[node] is not { } token || (isPlain && token.IsSpecial)) continue;
            length = i + 1;
            longest = token;
        }

        return longest;
    }
}

/// <summary>The places of a text at which special tokens are ordinary text.</summary>
/// <param name="ranges">Ranges of the original text, in order and without overlap.</param>
internal sealed class PlainPlaces(IReadOnlyList<Range> ranges)
{
    private int _next, _shift;
    private int[]? _origins;

    /// <summary>Says which part of the original the places are asked for, and where its characters come from.</summary>
    public void Begin(int shift, int[]? origins) => (_shift, _origins) = (shift, origins);

    /// <summary>Whether a place is one of them.</summary>
    public bool Has(int place)
    {
        if (ranges.Count == 0) return false;
        int at = _shift + (_origins is null ? place : _origins[place]);
        while (_next > 0 && ranges[_next - 1].End.Value > at) _next--;
        while (_next < ranges.Count && ranges[_next].End.Value <= at) _next++;
        return _next < ranges.Count && ranges[_next].Start.Value <= at;
    }
}
