using System.Globalization;
using System.Text;

namespace LdlVk.Runtime.Text;

/// <summary>
/// The text of tokens, as Hugging Face's decode gives it with special tokens: pieces of bytes are joined before they become characters, and
/// bytes that are no UTF-8 become U+FFFD. Thread-safe.
/// </summary>
internal sealed class TokenText
{
    private readonly string?[] _pieces;
    private readonly HashSet<int> _added;
    private readonly bool _isByteLevel;
    private readonly Dictionary<char, byte> _bytes = [];

    /// <param name="ids">Id of each piece.</param>
    /// <param name="added">Ids of the added tokens, whose characters stand for themselves.</param>
    /// <param name="isByteLevel">Whether the characters of a piece stand for bytes.</param>
    public TokenText(Dictionary<string, int> ids, IEnumerable<int> added, bool isByteLevel)
    {
        _pieces = new string?[ids.Values.Max() + 1];
        foreach ((string piece, int id) in ids) _pieces[id] = piece;
        (_added, _isByteLevel) = ([.. added], isByteLevel);
        for (int b = 0; b < 256; b++) _bytes[ByteLevel.Characters[b]] = (byte)b;
    }

    /// <summary>Returns a token's piece in the vocabulary; null if there is no such token.</summary>
    public string? Piece(int id) => (uint)id < (uint)_pieces.Length ? _pieces[id] : null;

    /// <summary>Returns the text of tokens.</summary>
    /// <exception cref="InputException">An id is no token's.</exception>
    public string Decode(ReadOnlySpan<int> ids)
    {
        using MemoryStream utf8 = new();
        foreach (int id in ids)
        {
            string piece = Piece(id) ?? throw new InputException(
                $"token id {id} is outside the vocabulary of {_pieces.Length}. The ids are from another tokenizer.");
            if (_isByteLevel && _added.Contains(id)) utf8.Write(Encoding.UTF8.GetBytes(piece));
            else if (_isByteLevel) foreach (char c in piece) utf8.WriteByte(_bytes.GetValueOrDefault(c));
            else if (ByteOf(piece) is { } single) utf8.WriteByte(single);
            else utf8.Write(Encoding.UTF8.GetBytes(piece.Replace('▁', ' ')));
        }

        return Encoding.UTF8.GetString(utf8.GetBuffer(), 0, (int)utf8.Length);
    }

    /// <summary>Returns the byte of a piece such as <c>&lt;0x0A&gt;</c>; null for other pieces.</summary>
    private static byte? ByteOf(string piece) =>
        piece is ['<', '0', 'x', _, _, '>']
        && byte.TryParse(piece.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value)
            ? value
            : null;
}
