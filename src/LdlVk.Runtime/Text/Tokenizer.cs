using System.Buffers;
using LdlVk.Runtime.Text.Files;
using LdlVk.Runtime.Text.Normalizing;
using LdlVk.Runtime.Text.Splitting;
using Microsoft.ML.Tokenizers;
using Normalizer = LdlVk.Runtime.Text.Normalizing.Normalizer;
using PreTokenizer = LdlVk.Runtime.Text.Splitting.PreTokenizer;

namespace LdlVk.Runtime.Text;

/// <summary>
/// A tokenizer by byte-pair encoding, as a tokenizer.json describes it. The algorithms are those of Hugging Face tokenizers: find the added
/// tokens in the raw text (leftmost, longest), normalize what is between them, find the other added tokens in that, divide the rest into
/// words by the pre-tokenizer, and merge each word's characters or bytes. Thread-safe.
/// </summary>
/// <remarks>
/// As a <see cref="Microsoft.ML.Tokenizers.Tokenizer"/> it always normalizes and divides the text, and its offsets are those of the text as
/// it was given: there is no normalized text to refer to.
/// </remarks>
public sealed class Tokenizer : Microsoft.ML.Tokenizers.Tokenizer
{
    private const int MaxCharacters = 1 << 26; // encoding one word takes up to 80 bytes per character

    // First tokens of every conversation where the file does not say what stands around a text.
    private static readonly string[] KnownBosTokens = ["<bos>", "<|begin_of_text|>"];

    private readonly Dictionary<string, int> _added = new(StringComparer.Ordinal);
    private readonly AddedTokens _raw, _normalized;
    private readonly Normalizer? _normalizer;
    private readonly PreTokenizer? _preTokenizer;
    private readonly BytePairVocabulary _vocabulary;
    private readonly WordBoundaries? _cuts;
    private readonly WordCache? _cache;
    private readonly Lazy<TokenText> _text;
    private readonly int[] _before, _after;

    private Tokenizer(TokenizerParts parts, bool cacheWords, string path)
    {
        (_normalizer, _preTokenizer, _vocabulary, _cuts) = (parts.Normalizer, parts.PreTokenizer, parts.Vocabulary, parts.Cuts);
        _cache = cacheWords ? new WordCache() : null;
        Dictionary<string, AddedToken> raw = new(StringComparer.Ordinal), normalized = new(StringComparer.Ordinal);
        Dictionary<int, string> written = [];
        HashSet<string> special = new(StringComparer.Ordinal);
        foreach (AddedToken given in parts.Added)
        {
            // Those that mark turns always control the model.
            AddedToken token = given with { IsSpecial = given.IsSpecial || TemplateMarkers.IsKnown(given.Content) };
            _added.Add(token.Content, token.Id);
            if (token.IsSpecial) special.Add(token.Content);
            if (!token.IsNormalized)
            {
                raw.Add(token.Content, token);
                continue;
            }

            string content = _normalizer?.Apply(new NormalizedText(token.Content)).Text ?? token.Content;
            if (content.Length == 0 || !normalized.TryAdd(content, token))
                throw new CheckpointException(
                    $"{path}: the added token {Shown.Quoted(token.Content)} is {Shown.Quoted(content)} after the normalizer, "
                    + (content.Length == 0 ? "which is nothing." : "which an earlier added token is too."));
            if (content != token.Content) written[token.Id] = content;
        }

        (_raw, _normalized) = (new AddedTokens(raw), new AddedTokens(normalized));
        SpecialTokens = [.. parts.Added.Select(token => token.Content).Where(special.Contains)];
        VocabularySize = 1 + _vocabulary.Pieces.Values.Concat(_added.Values).DefaultIfEmpty(-1).Max();
        _text = new(() => new TokenText(_vocabulary.Pieces.Concat(_added), written, VocabularySize, parts.Decoder));
        FileName = Path.GetFileName(path);
        DeclaredBos = Surroundings.DeclaredBos(path);
        (IReadOnlyList<string>? before, IReadOnlyList<string> after) = Surroundings.Of(path, parts.Surroundings);
        before ??= [.. KnownBosTokens.Where(Has).Take(1)];
        (_before, _after) = ([.. before.Select(Id)], [.. after.Select(Id)]);
        if (_before.Length > 0) (BosToken, Bos) = (before[0], _before[0]);

        int Id(string token) => TryGetId(token, out int id) ? id : throw new CheckpointException(
            $"{path}: {Shown.Quoted(token)}, a token that stands around every text, is neither in the vocabulary nor an added token. Use "
            + "the file that was published with the weights.");
    }

    /// <summary>Reads a tokenizer.json.</summary>
    /// <param name="tokenizerJsonPath">The file, in the layout of Hugging Face tokenizers.</param>
    /// <param name="cacheWords">Whether to cache the ids of words (at most about 15 MB). It changes only the speed.</param>
    /// <exception cref="CheckpointException">
    /// The file is missing, damaged, contradicts itself, or has a step that is not implemented.
    /// </exception>
    public static Tokenizer Load(string tokenizerJsonPath, bool cacheWords = true) =>
        new(TokenizerFile.Read(tokenizerJsonPath), cacheWords, tokenizerJsonPath);

    /// <summary>Reads the tokenizer of a checkpoint: its tokenizer.json, or else its tokenizer.model.</summary>
    /// <param name="folder">The checkpoint's folder.</param>
    /// <param name="cacheWords">As for <see cref="Load"/>.</param>
    /// <returns>The tokenizer; null if the folder has none.</returns>
    /// <exception cref="CheckpointException">As for <see cref="Load"/>.</exception>
    public static Tokenizer? Find(string folder, bool cacheWords = true)
    {
        ArgumentNullException.ThrowIfNull(folder);
        string json = Path.Combine(folder, "tokenizer.json"), model = Path.Combine(folder, "tokenizer.model");
        return File.Exists(json) ? Load(json, cacheWords) : File.Exists(model) ? LoadSentencePiece(model, cacheWords) : null;
    }

    /// <summary>
    /// Reads a tokenizer.model of SentencePiece, of the kind BPE; with the added tokens of a tokenizer_config.json beside it.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="cacheWords">As for <see cref="Load"/>.</param>
    /// <exception cref="CheckpointException">The file is missing, damaged, or of a kind that is not implemented.</exception>
    public static Tokenizer LoadSentencePiece(string path, bool cacheWords = true) =>
        new(SentencePieceFile.Read(path), cacheWords, path);

    /// <summary>Name of the file that it was read from.</summary>
    public string FileName { get; }

    /// <summary>The highest id plus one, which is the minimum number of rows of an embedding table.</summary>
    public int VocabularySize { get; }

    /// <summary>The template of most checkpoints with this tokenizer; null if that is not known.</summary>
    public ChatTemplate? UsualTemplate => Has("<|start_header_id|>") ? ChatTemplate.Llama31
        : Has("<start_of_turn>") ? ChatTemplate.Gemma2
        : null;

    /// <summary>Id of the token that stands in front of every text; null if there is none.</summary>
    public int? Bos { get; }

    /// <summary>
    /// <c>bos_token</c> of the tokenizer_config.json beside the file; null for none. Not every tokenizer puts it in front of texts: Qwen's
    /// do not.
    /// </summary>
    public string? DeclaredBos { get; }

    /// <summary>The special tokens.</summary>
    internal IReadOnlyList<string> SpecialTokens { get; }

    /// <summary>The token that stands in front of every text; null if there is none.</summary>
    internal string? BosToken { get; }

    /// <summary>
    /// Finds the id of a token by its exact content: a piece of the vocabulary ("▁the", "&lt;0x0A&gt;") or an added token.
    /// </summary>
    public bool TryGetId(string token, out int id) => _added.TryGetValue(token, out id) || _vocabulary.Pieces.TryGetValue(token, out id);

    /// <summary>Returns a token's piece in the vocabulary, such as "▁the"; null if there is no such token.</summary>
    public string? Piece(int id) => _text.Value.Piece(id);

    /// <summary>Returns the text of token ids, with its special tokens. Bytes that are no UTF-8 become U+FFFD.</summary>
    /// <exception cref="InputException">An id is outside the vocabulary.</exception>
    public string Decode(ReadOnlySpan<int> ids) => _text.Value.Decode(ids);

    /// <summary>
    /// Returns the ids of a text with those that the tokenizer puts around every text, by its post-processor or its tokenizer_config.json:
    /// as <c>tokenizer(text)</c> of transformers does. Tokens that are there already are not put a second time, which the reference does.
    /// </summary>
    public int[] Surround(int[] ids)
    {
        ReadOnlySpan<int> given = ids;
        return [.. given.StartsWith(_before) ? [] : _before, .. ids, .. given.EndsWith(_after) ? [] : _after];
    }

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
        return [.. Run(text, plain, hasRanges: false).Ids];
    }

    /// <inheritdoc/>
    public override string Decode(IEnumerable<int> ids) => Decode((int[])[.. ids]);

    /// <inheritdoc/>
    public override OperationStatus Decode(IEnumerable<int> ids, Span<char> destination, out int idsConsumed, out int charsWritten)
    {
        int[] all = [.. ids];
        string text = Decode(all);
        bool fits = text.TryCopyTo(destination);
        (idsConsumed, charsWritten) = fits ? (all.Length, text.Length) : (0, 0);
        return fits ? OperationStatus.Done : OperationStatus.DestinationTooSmall;
    }

    /// <inheritdoc/>
    protected override EncodeResults<EncodedToken> EncodeToTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        string whole = text ?? textSpan.ToString();
        EncodingRun run = Run(whole, [], hasRanges: true);
        int count = Math.Min(run.Ids.Count, settings.MaxTokenCount);
        EncodedToken[] tokens = new EncodedToken[count];
        for (int i = 0; i < count; i++) tokens[i] = new EncodedToken(run.Ids[i], Piece(run.Ids[i]) ?? "", run.Ranges![i]);
        return new()
        {
            Tokens = tokens,
            CharsConsumed = count == run.Ids.Count ? whole.Length : count == 0 ? 0 : tokens[^1].Offset.End.Value,
        };
    }

    /// <inheritdoc/>
    protected override EncodeResults<int> EncodeToIds(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        string whole = text ?? textSpan.ToString();
        EncodingRun run = Run(whole, [], hasRanges: settings.MaxTokenCount < int.MaxValue);
        int count = Math.Min(run.Ids.Count, settings.MaxTokenCount);
        return new()
        {
            Tokens = count == run.Ids.Count ? run.Ids : run.Ids.GetRange(0, count),
            CharsConsumed = count == run.Ids.Count ? whole.Length : count == 0 ? 0 : run.Ranges![count - 1].End.Value,
        };
    }

    /// <inheritdoc/>
    protected override int CountTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings) =>
        Math.Min(Run(text ?? textSpan.ToString(), [], hasRanges: false).Ids.Count, settings.MaxTokenCount);

    private bool Has(string token) => TryGetId(token, out _);

    private EncodingRun Run(string text, IReadOnlyList<Range> plain, bool hasRanges)
    {
        if (text.Length > MaxCharacters)
            throw new InputException($"A text has {text.Length} characters; the limit is {MaxCharacters}. Split it.");
        string raw = Utf16.Repair(text);
        EncodingRun run = new(_vocabulary, _cuts, _cache, raw.Length, hasRanges);
        PlainPlaces places = new(plain), placesBetween = new(plain);
        // Where each character becomes one, the whole text is normalized at once.
        string? whole = _normalizer is null ? raw : _normalizer.IsUnitwise ? _normalizer.Apply(new(raw)).Text : null;
        AddedSegments segments = new(raw, _raw, places);
        while (segments.MoveNext())
        {
            if (segments.Token is { } token)
            {
                run.Begin(0, null);
                run.Add(token.Id, segments.Start, segments.End);
            }
            else if (whole is null)
            {
                NormalizedText part = _normalizer!.Apply(new(raw[segments.Start..segments.End]));
                EncodeBetween(part.Text, segments.Start, part.Origins, placesBetween, run);
            }
            else EncodeBetween(whole.AsSpan(segments.Start, segments.End - segments.Start), segments.Start, null, placesBetween, run);
        }

        return run;
    }

    // Encodes normalized text between two added tokens, in which there may be others.
    private void EncodeBetween(ReadOnlySpan<char> text, int shift, int[]? origins, PlainPlaces places, EncodingRun run)
    {
        run.Begin(shift, origins);
        if (_normalized.IsEmpty)
        {
            EncodePiece(new Piece(text, 0, 0), run);
            return;
        }

        places.Begin(shift, origins);
        AddedSegments segments = new(text, _normalized, places);
        while (segments.MoveNext())
        {
            if (segments.Token is { } token) run.Add(token.Id, segments.Start, segments.End);
            else EncodePiece(new Piece(text[segments.Start..segments.End], segments.Start, 0), run);
        }
    }

    private void EncodePiece(Piece piece, EncodingRun run)
    {
        if (piece.Text.IsEmpty) return;
        if (_preTokenizer is null) run.EncodeWord(piece);
        else _preTokenizer.Split(piece, run);
    }
}
