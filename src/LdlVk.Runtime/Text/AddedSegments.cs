using System.Buffers;
using System.Text;

namespace LdlVk.Runtime.Text;

/// <summary>
/// Goes over the added tokens of a text and what is between them, as the reference does: a token that takes white space takes none that
/// the one before has taken, and the search goes on behind the token itself.
/// </summary>
internal ref struct AddedSegments
{
    private readonly ReadOnlySpan<char> _text;
    private readonly AddedTokens _tokens;
    private readonly PlainPlaces _places;
    private int _from, _done;
    private (AddedToken Token, int Start, int End)? _next; // found, but what is before it comes first

    /// <param name="text">The text.</param>
    /// <param name="tokens">The tokens.</param>
    /// <param name="places">Where special tokens are ordinary text.</param>
    public AddedSegments(ReadOnlySpan<char> text, AddedTokens tokens, PlainPlaces places)
    {
        (_tokens, _places) = (tokens, places);
        _text = text;
    }

    /// <summary>The token; null for the text between two.</summary>
    public AddedToken? Token { get; private set; }

    /// <summary>Where the segment begins.</summary>
    public int Start { get; private set; }

    /// <summary>Where it ends.</summary>
    public int End { get; private set; }

    /// <summary>Goes to the next segment; false behind the last.</summary>
    public bool MoveNext()
    {
        if (_next is { } found)
        {
            (Token, Start, End) = found;
            (_done, _next) = (End, null);
            return true;
        }

        while (_tokens.Next(_text, _from, _places, out int start, out int length) is { } token)
        {
            int end = _from = start + length;
            if (token.IsWord && (IsWordBefore(start) || IsWordAt(end))) continue;
            if (token.StripsLeft)
            {
                while (start > _done && char.IsWhiteSpace(_text[start - 1])) start--;
                start = Math.Max(start, _done);
            }

            while (token.StripsRight && end < _text.Length && char.IsWhiteSpace(_text[end])) end++;
            if (_done < start)
            {
                (Token, Start, End) = (null, _done, start);
                _next = (token, start, end);
                return true;
            }

            (Token, Start, End, _done) = (token, start, end, end);
            return true;
        }

        if (_done >= _text.Length) return false;
        (Token, Start, End) = (null, _done, _text.Length);
        (_done, _from) = (_text.Length, _text.Length);
        return true;
    }

    private readonly bool IsWordBefore(int at) =>
        Rune.DecodeLastFromUtf16(_text[..at], out Rune rune, out _) == OperationStatus.Done && AddedToken.IsWordCharacter(rune);

    private readonly bool IsWordAt(int at) =>
        Rune.DecodeFromUtf16(_text[at..], out Rune rune, out _) == OperationStatus.Done && AddedToken.IsWordCharacter(rune);
}
