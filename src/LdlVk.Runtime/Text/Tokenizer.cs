using System.Text;

namespace LdlVk.Runtime.Text;

/// <summary>
/// Gemma-2's or Llama 3's tokenizer, read from a tokenizer.json. Their algorithms, which Hugging Face tokenizers defines: split the raw
/// text at the added tokens (leftmost, longest); in each piece between them run byte-pair encoding by merge rank. Gemma-2 first replaces
/// " " by "▁", and characters outside the vocabulary become the byte tokens of their UTF-8. Llama 3 first splits into words
/// (<see cref="Llama3Words"/>), of which those that are in the vocabulary are one token; in the others symbols are bytes. Any number of
/// threads may use one tokenizer.
/// </summary>
public sealed class Tokenizer
{
    /// <summary>With which conversations begin: Gemma-2's, Llama 3's.</summary>
    private static readonly string[] BosTokens = ["<bos>", "<|begin_of_text|>"];

    private const int LongestText = 1 << 26; // characters; encoding one word takes up to 60 bytes a character

    private readonly Dictionary<string, int> ids;
    private readonly AddedTokens addedTokens;
    private readonly AddedTokens ordinaryTokens; // without the special ones
    private readonly WordSplitter words;
    private readonly bool isByteLevel;
    private readonly BytePairVocabulary pieces;
    private readonly WordCache? cache;

    private Tokenizer(TokenizerFile file, int bos, bool cacheWords)
    {
        ids = file.Ids;
        addedTokens = new AddedTokens(file.Added);
        ordinaryTokens = new AddedTokens(file.Added.Where(token => !file.Special.Contains(token.Key)).ToDictionary());
        words = file.Words;
        isByteLevel = file.IsByteLevel;
        pieces = file.Pieces;
        cache = cacheWords ? new WordCache() : null;
        Bos = bos;
        VocabularySize = ids.Values.Max() + 1;
    }

    /// <summary>Reads a tokenizer.json.</summary>
    /// <param name="tokenizerJsonPath">The file, in the layout of Hugging Face tokenizers.</param>
    /// <param name="cacheWords">Remember the ids of words met (at most about 15 MB). The ids are the same without, only slower.</param>
    /// <exception cref="CheckpointException">The file is missing, damaged, contradicts itself, or describes another algorithm.</exception>
    public static Tokenizer Load(string tokenizerJsonPath, bool cacheWords = true)
    {
        TokenizerFile file = TokenizerFile.Read(tokenizerJsonPath);
        string bosToken = BosTokens[file.IsByteLevel ? 1 : 0];
        return file.Ids.TryGetValue(bosToken, out int bos)
            ? new Tokenizer(file, bos, cacheWords)
            : throw new CheckpointException(
                $"{tokenizerJsonPath}: neither model.vocab nor added_tokens has {bosToken}, with which every conversation begins.");
    }

    /// <summary>The highest id plus one: the rows an embedding table must have at least.</summary>
    public int VocabularySize { get; }

    /// <summary>The template that most checkpoints with such a tokenizer have.</summary>
    public ChatTemplate UsualTemplate => isByteLevel ? ChatTemplate.Llama31 : ChatTemplate.Gemma2;

    /// <summary>Id of the token at the beginning of a conversation: <c>&lt;bos&gt;</c>, <c>&lt;|begin_of_text|&gt;</c>.</summary>
    public int Bos { get; }

    /// <summary>The id of a token by its exact content: a piece of the vocabulary ("▁the", "&lt;0x0A&gt;") or an added token.</summary>
    public bool TryGetId(string token, out int id) => ids.TryGetValue(token, out id);

    /// <summary>
    /// The ids of a text. No <c>&lt;bos&gt;</c> is added; an added token written out in the text gives its id, as the reference does.
    /// </summary>
    /// <param name="text">Any text; a lone surrogate, which no UTF-8 can hold, counts as U+FFFD.</param>
    /// <returns>[tokens] ids, each in 0 … <see cref="VocabularySize"/> − 1; none for an empty text.</returns>
    /// <exception cref="InputException">The text has more than 2²⁶ characters.</exception>
    public int[] Encode(string text) => Encode(text, []);

    /// <summary>
    /// As <see cref="Encode(string)"/>, but special tokens that begin in one of <paramref name="plain"/> are text like any other.
    /// </summary>
    /// <param name="text">Any text.</param>
    /// <param name="plain">Characters that come from outside, in order, no two overlapping.</param>
    public int[] Encode(string text, IReadOnlyList<Range> plain)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(plain);
        if (text.Length > LongestText)
            throw new InputException($"A text has {text.Length} characters; more than {LongestText} are not tokenised. Split it.");
        string raw = Utf16.Repair(text);
        string normalized = words.Normalize(raw);
        List<int> output = new(text.Length / 4 + 8);
        BytePairEncoder encoder = new(pieces);
        int range = 0;
        for (int from = 0; from < raw.Length;)
        {
            bool found = NextAdded(raw, from, plain, ref range, out int start, out int length, out int id);
            EncodePiece(normalized.AsSpan(from, start - from), encoder, output);
            if (found) output.Add(id);
            from = start + length;
        }
        return [.. output];
    }

    // The first added token from a place on; special ones are looked for only outside the plain ranges. `range` is the first of those that
    // may lie ahead.
    private bool NextAdded(string raw, int from, IReadOnlyList<Range> plain, ref int range, out int start, out int length, out int id)
    {
        for (start = from; ;)
        {
            while (range < plain.Count && plain[range].End.Value <= start) range++;
            bool isPlain = range < plain.Count && plain[range].Start.Value <= start;
            int end = range == plain.Count ? raw.Length : isPlain ? plain[range].End.Value : plain[range].Start.Value;
            if ((isPlain ? ordinaryTokens : addedTokens).Next(raw, start, end, out start, out length, out id)) return true;
            if (start == raw.Length) return false;
        }
    }

    // The normalized text between two added tokens, word by word.
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
        if (cache is null || word.Length > WordCache.LongestWord)
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
    /// The ids of a word. Of byte-level vocabularies those that are a piece as they are need no merges, and some have none
    /// (<c>ignore_merges</c>).
    /// </summary>
    private ReadOnlySpan<int> Merge(ReadOnlySpan<char> word, BytePairEncoder encoder)
    {
        const int LongestPiece = 256;
        if (!isByteLevel || word.Length > LongestPiece) return encoder.Encode(word);
        Span<byte> utf8 = stackalloc byte[3 * word.Length];
        utf8 = utf8[..Encoding.UTF8.GetBytes(word, utf8)];
        Span<char> written = stackalloc char[utf8.Length];
        for (int i = 0; i < utf8.Length; i++) written[i] = ByteLevel.Characters[utf8[i]];
        return ids.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(written, out int id) ? new int[] { id } : encoder.Encode(word);
    }
}
