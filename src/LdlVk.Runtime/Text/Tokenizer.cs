using System.Text;

namespace LdlVk.Runtime.Text;

/// <summary>
/// Gemma-2's or Llama 3's tokenizer, read from a tokenizer.json. The algorithms are those of Hugging Face tokenizers: split the raw text
/// at the added tokens (leftmost, longest), and encode each piece between them by byte-pair encoding. Gemma-2 first replaces " " by "▁";
/// characters outside the vocabulary become the byte tokens of their UTF-8. Llama 3 first splits into words
/// (<see cref="Llama3Words"/>); a word in the vocabulary is one token, and in all others the initial symbols are bytes. Thread-safe.
/// </summary>
public sealed class Tokenizer
{
    /// <summary>The bos tokens of Gemma-2 and of Llama 3.</summary>
    private static readonly string[] BosTokens = ["<bos>", "<|begin_of_text|>"];

    private const int MaxCharacters = 1 << 26; // encoding one word takes up to 60 bytes per character

    private readonly Dictionary<string, int> ids;
    private readonly AddedTokens addedTokens;
    private readonly AddedTokens ordinaryTokens; // without the special ones
    private readonly AddedTokens addedNormalized;
    private readonly AddedTokens ordinaryNormalized;
    private readonly bool hasNormalized, ignoresMerges;
    private readonly WordSplitter words;
    private readonly bool isByteLevel;
    private readonly BytePairVocabulary pieces;
    private readonly WordCache? cache;
    private readonly Lazy<TokenText> tokenText;

    private Tokenizer(TokenizerFile file, int bos, bool cacheWords)
    {
        ids = file.Ids;
        (addedTokens, ordinaryTokens) = Tokens(file, file.Added);
        (addedNormalized, ordinaryNormalized) = Tokens(file, file.AddedNormalized);
        (hasNormalized, ignoresMerges) = (file.AddedNormalized.Count > 0, file.IgnoresMerges);
        SpecialTokens = [.. file.Added.Keys.Concat(file.AddedNormalized.Keys).Where(file.Special.Contains)];
        words = file.Words;
        isByteLevel = file.IsByteLevel;
        pieces = file.Pieces;
        cache = cacheWords ? new WordCache() : null;
        Bos = bos;
        int[] added = [.. file.Added.Values, .. file.AddedNormalized.Values];
        tokenText = new Lazy<TokenText>(() => new TokenText(ids, added, isByteLevel));
        VocabularySize = ids.Values.Max() + 1;
    }

    private static (AddedTokens All, AddedTokens Ordinary) Tokens(TokenizerFile file, Dictionary<string, int> added) =>
        (new AddedTokens(added), new AddedTokens(added.Where(token => !file.Special.Contains(token.Key)).ToDictionary()));

    /// <summary>Reads a tokenizer.json.</summary>
    /// <param name="tokenizerJsonPath">The file, in the layout of Hugging Face tokenizers.</param>
    /// <param name="cacheWords">Whether to cache the ids of words (at most about 15 MB). It changes only the speed.</param>
    /// <exception cref="CheckpointException">The file is missing, damaged, contradicts itself, or describes another algorithm.</exception>
    public static Tokenizer Load(string tokenizerJsonPath, bool cacheWords = true)
    {
        TokenizerFile file = TokenizerFile.Read(tokenizerJsonPath);
        string bosToken = BosTokens[file.IsByteLevel ? 1 : 0];
        return file.Ids.TryGetValue(bosToken, out int bos)
            ? new Tokenizer(file, bos, cacheWords)
            : throw new CheckpointException(
                $"{tokenizerJsonPath}: neither model.vocab nor added_tokens has {bosToken}, the first token of every conversation.");
    }

    /// <summary>The highest id plus one, which is the minimum number of rows of an embedding table.</summary>
    public int VocabularySize { get; }

    /// <summary>The template of most checkpoints with this tokenizer.</summary>
    public ChatTemplate UsualTemplate => isByteLevel ? ChatTemplate.Llama31 : ChatTemplate.Gemma2;

    /// <summary>Id of the bos token: <c>&lt;bos&gt;</c> or <c>&lt;|begin_of_text|&gt;</c>.</summary>
    public int Bos { get; }

    /// <summary>The special tokens.</summary>
    internal IReadOnlyList<string> SpecialTokens { get; }

    /// <summary>The bos token.</summary>
    internal string BosToken => BosTokens[isByteLevel ? 1 : 0];

    /// <summary>
    /// Finds the id of a token by its exact content: a piece of the vocabulary ("▁the", "&lt;0x0A&gt;") or an added token.
    /// </summary>
    public bool TryGetId(string token, out int id) => ids.TryGetValue(token, out id);

    /// <summary>Returns a token's piece in the vocabulary, such as "▁the"; null if there is no such token.</summary>
    public string? Piece(int id) => tokenText.Value.Piece(id);

    /// <summary>Returns the text of token ids, with its special tokens. Bytes that are no UTF-8 become U+FFFD.</summary>
    /// <exception cref="InputException">An id is outside the vocabulary.</exception>
    public string Decode(ReadOnlySpan<int> ids) => tokenText.Value.Decode(ids);

    /// <summary>
    /// Encodes a text. It adds no <c>&lt;bos&gt;</c>. As in the reference, an added token that occurs in the text becomes its id.
    /// </summary>
    /// <param name="text">Any text; a lone surrogate, which UTF-8 cannot represent, is read as U+FFFD.</param>
    /// <returns>[tokens] ids in [0, <see cref="VocabularySize"/>); empty for an empty text.</returns>
    /// <exception cref="InputException">The text has more than 2²⁶ characters.</exception>
    public int[] Encode(string text) => Encode(text, []);

    /// <summary>
    /// Encodes a text in which special tokens that begin in one of the ranges <paramref name="plain"/> are read as ordinary text.
    /// </summary>
    /// <param name="text">Any text.</param>
    /// <param name="plain">Ranges of characters from messages, in order and without overlap.</param>
    public int[] Encode(string text, IReadOnlyList<Range> plain)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(plain);
        if (text.Length > MaxCharacters)
            throw new InputException($"A text has {text.Length} characters; the limit is {MaxCharacters}. Split it.");
        string raw = Utf16.Repair(text);
        string normalized = words.Normalize(raw);
        List<int> output = new(text.Length / 4 + 8);
        BytePairEncoder encoder = new(pieces);
        int range = 0, rangeNormalized = 0;
        for (int from = 0; from < raw.Length;)
        {
            bool found = NextAdded(addedTokens, ordinaryTokens, raw, from, plain, ref range, out int start, out int length, out int id);
            EncodeBetween(normalized.AsSpan(0, start), from, plain, ref rangeNormalized, encoder, output);
            if (found) output.Add(id);
            from = start + length;
        }
        return [.. output];
    }

    // Encodes the end of a normalized text, in which the added tokens that are looked for after the normalizer may be.
    private void EncodeBetween(
        ReadOnlySpan<char> text, int from, IReadOnlyList<Range> plain, ref int range, BytePairEncoder encoder, List<int> output)
    {
        while (hasNormalized && from < text.Length
            && NextAdded(addedNormalized, ordinaryNormalized, text, from, plain, ref range, out int start, out int length, out int id))
        {
            EncodePiece(text[from..start], encoder, output);
            output.Add(id);
            from = start + length;
        }

        EncodePiece(text[from..], encoder, output);
    }

    // Finds the first added token from a position on. Special tokens count only outside the plain ranges. `range` is the index of the
    // first plain range that may lie ahead.
    private static bool NextAdded(
        AddedTokens all, AddedTokens ordinary, ReadOnlySpan<char> raw, int from, IReadOnlyList<Range> plain, ref int range,
        out int start, out int length, out int id)
    {
        for (start = from; ;)
        {
            while (range < plain.Count && plain[range].End.Value <= start) range++;
            bool isPlain = range < plain.Count && plain[range].Start.Value <= start;
            int end = Math.Min(
                raw.Length, range == plain.Count ? raw.Length : isPlain ? plain[range].End.Value : plain[range].Start.Value);
            if ((isPlain ? ordinary : all).Next(raw, start, end, out start, out length, out id)) return true;
            if (start == raw.Length) return false;
        }
    }

    // Encodes the normalized text between two added tokens, word by word.
    private void EncodePiece(ReadOnlySpan<char> piece, BytePairEncoder encoder, List<int> output)
    {
        for (int length; piece.Length > 0; piece = piece[length..])
        {
            length = words.Next(piece);
            EncodeWord(piece[..length], encoder, output);
        }
    }

    private void EncodeWord(ReadOnlySpan<char> word, BytePairEncoder encoder, List<int> output)
    {
        if (cache is null || word.Length > WordCache.MaxWordLength)
        {
            output.AddRange(Merge(word, encoder));
            return;
        }
        if (cache.Find(word, out int slot) is not { } found)
        {
            found = Merge(word, encoder).ToArray();
            cache.Store(slot, word.ToString(), found);
        }
        output.AddRange(found.AsSpan());
    }

    /// <summary>
    /// Encodes a word. With <c>ignore_merges</c>, a word that is a piece needs no merges, and some pieces cannot be reached by merges.
    /// </summary>
    private ReadOnlySpan<int> Merge(ReadOnlySpan<char> word, BytePairEncoder encoder)
    {
        const int LongestPiece = 256;
        if (!ignoresMerges || word.Length > LongestPiece) return encoder.Encode(word);
        Span<byte> utf8 = stackalloc byte[3 * word.Length];
        utf8 = utf8[..Encoding.UTF8.GetBytes(word, utf8)];
        Span<char> written = stackalloc char[utf8.Length];
        for (int i = 0; i < utf8.Length; i++) written[i] = ByteLevel.Characters[utf8[i]];
        return ids.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(written, out int id) ? new int[] { id } : encoder.Encode(word);
    }
}
