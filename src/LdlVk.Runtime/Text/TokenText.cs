namespace LdlVk.Runtime.Text;

/// <summary>The text of tokens, as Hugging Face's decode gives it with special tokens. Thread-safe.</summary>
internal sealed class TokenText
{
    private readonly string?[] _pieces;
    private readonly Dictionary<int, string> _written;
    private readonly Decoder _decoder;

    /// <param name="pieces">Id of each piece.</param>
    /// <param name="written">Text of the added tokens that the decoder takes in another form than their content.</param>
    /// <param name="size">Number of ids.</param>
    /// <param name="decoder">Makes the text of pieces.</param>
    public TokenText(IEnumerable<KeyValuePair<string, int>> pieces, Dictionary<int, string> written, int size, Decoder decoder)
    {
        _pieces = new string?[size];
        foreach ((string piece, int id) in pieces) _pieces[id] = piece;
        (_written, _decoder) = (written, decoder);
    }

    /// <summary>Returns a token's piece in the vocabulary; null if there is no such token.</summary>
    public string? Piece(int id) => (uint)id < (uint)_pieces.Length ? _pieces[id] : null;

    /// <summary>Returns the text of tokens.</summary>
    /// <exception cref="InputException">An id is no token's.</exception>
    public string Decode(ReadOnlySpan<int> ids)
    {
        List<string> pieces = new(ids.Length);
        foreach (int id in ids)
        {
            string piece = Piece(id) ?? throw new InputException(
                $"token id {id} is outside the vocabulary of {_pieces.Length}. The ids are from another tokenizer.");
            pieces.Add(_written.GetValueOrDefault(id, piece));
        }

        return string.Concat(_decoder(pieces));
    }
}
