using System.Globalization;
using System.Text;
using System.Text.Json;
using LdlVk.Runtime.Json;
using LdlVk.Runtime.Text.Splitting;

namespace LdlVk.Runtime.Text.Files;

/// <summary>Reads a tokenizer.json in the layout of Hugging Face tokenizers, and verifies that it is consistent.</summary>
internal sealed class TokenizerFile
{
    /// <summary>
    /// Limit of the file's size. The largest real files have a few tens of MB, and a parsed file takes several times its size.
    /// </summary>
    internal const long MaxBytes = 128L << 20;

    private const string Advice = PipelineReader.Advice;

    /// <summary>Limit of ids. No embedding table has as many rows, so a larger id means damage.</summary>
    internal const int IdLimit = 1 << 24;

    /// <summary>
    /// Limit of the initial capacity for pieces and merges, whose number is not verified yet; Gemma-2 has 256,000 and 580,604.
    /// </summary>
    private const int Expected = 1 << 20;

    private readonly Dictionary<string, int> _pieces = new(StringComparer.Ordinal);
    private readonly Dictionary<int, int> _characters = [];
    private readonly int[] _bytes = new int[256];
    private readonly Dictionary<ulong, (int Rank, int Id)> _merges = [];

    private TokenizerFile(JsonField root)
    {
        JsonField model = root.Get("model");
        Require(model.Get("type"), "BPE");
        var normalizer = PipelineReader.Normalizer(root);
        PreTokenizer? preTokenizer = PipelineReader.PreTokenizer(root, out bool isByteLevel);
        Decoder decoder = PipelineReader.Decoder(root, isByteLevel);
        CheckModel(model);
        bool hasFallback = Flag(model, "byte_fallback"), ignoresMerges = Flag(model, "ignore_merges");
        string? unknown = model.TryGet("unk_token", out JsonField unknownField) ? unknownField.String() : null;
        ReadVocabulary(model.Get("vocab"));
        bool isComplete = isByteLevel ? ReadByteCharacters(model.Get("vocab"), unknown) : ReadCharacters(model, hasFallback, unknown);
        int unknownId = -1;
        if (unknown is not null && !_pieces.TryGetValue(unknown, out unknownId) && !isComplete)
            throw unknownField.Error(
                $"is {Shown.Quoted(unknown)}, which model.vocab lacks, and some characters have no other piece. {Advice}");
        // Cut words must have the ids that they have together.
        WordBoundaries? cuts = isByteLevel || ignoresMerges || !isComplete ? null : new();
        ReadMerges(model.Get("merges"), cuts);
        Parts = new TokenizerParts
        {
            Vocabulary = new BytePairVocabulary(_pieces, _characters, _bytes, _merges)
            {
                Unknown = isComplete || unknown is null ? -1 : unknownId,
                FusesUnknown = Flag(model, "fuse_unk"),
                IsByteLevel = isByteLevel,
                IgnoresMerges = ignoresMerges,
            },
            Cuts = _mergesBytes ? null : cuts,
            Normalizer = normalizer,
            PreTokenizer = preTokenizer,
            Decoder = decoder,
            Added = root.TryGet("added_tokens", out JsonField added) ? ReadAdded(added) : [],
            Surroundings = Surroundings.Read(root),
        };
    }

    /// <summary>What the file says.</summary>
    internal TokenizerParts Parts { get; }

    internal static TokenizerParts Read(string path) => JsonFile.Read(path, root => new TokenizerFile(root).Parts, MaxBytes);

    private static bool Flag(JsonField model, string name) => model.TryGet(name, out JsonField field) && field.Boolean();

    private static void CheckModel(JsonField model)
    {
        if (model.TryGet("dropout", out JsonField dropout)
            && !(dropout.Value.ValueKind == JsonValueKind.Number && dropout.Value.GetDouble() == 0))
            throw dropout.Error("is set, so the same text would not always give the same ids. LdlVk needs it to be null.");
        foreach (string affix in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
            if (model.TryGet(affix, out JsonField field)) Require(field, "");
    }

    private void ReadVocabulary(JsonField vocabulary)
    {
        var members = vocabulary.Members();
        _pieces.EnsureCapacity(Math.Min(vocabulary.Value.GetPropertyCount(), Expected));
        HashSet<int> used = new(_pieces.Capacity);
        foreach (JsonProperty piece in members)
        {
            JsonElement value = piece.Value;
            if (value.ValueKind != JsonValueKind.Number || !value.TryGetInt32(out int id) || id < 0 || id >= IdLimit)
                id = vocabulary.Member(Shown.Quoted(piece.Name), value).Integer(0, IdLimit - 1); // repeats the check, with an error message
            string text = piece.Name;
            if (!used.Add(id)) throw vocabulary.Member(Shown.Quoted(text), value).Error($"has the id {id}, which another piece has too.");
            _pieces.Add(text, id);
        }
    }

    /// <summary>
    /// Builds the tables for symbols that are characters, with bytes as fallback; says whether every character has a piece or bytes.
    /// </summary>
    private bool ReadCharacters(JsonField model, bool hasFallback, string? unknown)
    {
        if (!hasFallback && unknown is null)
            throw model.Error(
                "has neither byte_fallback nor an unk_token, so that characters outside model.vocab would be left out of the text. "
                + Advice);
        foreach ((string text, int id) in _pieces)
            if (text.Length is 1 or 2
                && Rune.DecodeFromUtf16(text, out Rune rune, out int length) == System.Buffers.OperationStatus.Done
                && length == text.Length)
                _characters.Add(rune.Value, id);
        bool isComplete = hasFallback;
        for (int b = 0; b < 256; b++)
        {
            string piece = string.Create(CultureInfo.InvariantCulture, $"<0x{b:X2}>");
            if (!hasFallback || !_pieces.TryGetValue(piece, out _bytes[b])) _bytes[b] = -1;
            // Gemma-2 has "\t" instead of <0x09>: a character that is a piece never falls back to its byte.
            if (_bytes[b] >= 0 || (b < 128 && _characters.ContainsKey(b))) continue;
            isComplete = false;
            if (unknown is null) throw model.Get("vocab").Error($"lacks the byte piece {piece}, which byte_fallback needs.");
        }

        return isComplete;
    }

    /// <summary>Builds the tables for symbols that are bytes; says whether every byte that UTF-8 has is a piece.</summary>
    private bool ReadByteCharacters(JsonField vocabulary, string? unknown)
    {
        bool isComplete = true;
        for (int b = 0; b < 256; b++)
        {
            string piece = ByteLevel.Characters[b].ToString();
            if (_pieces.TryGetValue(piece, out _bytes[b])) continue;
            _bytes[b] = -1;
            if (b is 0xC0 or 0xC1 or > 0xF4) continue; // in no UTF-8
            isComplete = false;
            if (unknown is null) throw vocabulary.Error($"lacks the piece {Shown.Quoted(piece)}, which stands for the byte {b}.");
        }

        return isComplete;
    }

    private bool _mergesBytes; // whether a merge joins bytes of characters that are no pieces

    /// <summary>Reads the merges; <paramref name="boundaries"/>, where words are cut by that, learns what they reach across.</summary>
    private void ReadMerges(JsonField merges, WordBoundaries? boundaries)
    {
        var ids = _pieces.GetAlternateLookup<ReadOnlySpan<char>>();
        var items = merges.Items();
        _merges.EnsureCapacity(Math.Min(merges.Value.GetArrayLength(), Expected));
        char[] joined = new char[64];
        int index = -1, rank = 0;
        foreach (JsonElement item in items)
        {
            index++;
            CheckpointException Error(string why) => merges.Item(index, item).Error(why);
            string? line = null, second = null;
            int cut = -1;
            if (item.ValueKind == JsonValueKind.String)
            {
                line = item.GetString()!;
                if (line.StartsWith("#version", StringComparison.Ordinal)) continue; // the first line of merges.txt
                cut = line.IndexOf(' ', StringComparison.Ordinal);
                if (cut < 0 || line.LastIndexOf(' ') != cut) throw Error($"is {Shown.Quoted(line)}, not two pieces with a space between.");
            }
            else if (item.ValueKind == JsonValueKind.Array && item.GetArrayLength() == 2)
            {
                line = merges.Item(index, item[0]).String();
                second = merges.Item(index, item[1]).String();
            }
            else throw Error("is neither \"a b\" nor [\"a\", \"b\"].");

            ReadOnlySpan<char> left = second is null ? line.AsSpan(0, cut) : line;
            ReadOnlySpan<char> right = second is null ? line.AsSpan(cut + 1) : second;
            if (left.IsEmpty || right.IsEmpty) throw Error("names an empty piece.");
            int length = left.Length + right.Length;
            if (joined.Length < length) joined = new char[length];
            left.CopyTo(joined);
            right.CopyTo(joined.AsSpan(left.Length));
            if (!ids.TryGetValue(left, out int leftId))
                throw Error($"names the piece {Shown.Quoted(left.ToString())}, which model.vocab lacks.");
            if (!ids.TryGetValue(right, out int rightId))
                throw Error($"names the piece {Shown.Quoted(right.ToString())}, which model.vocab lacks.");
            if (!ids.TryGetValue(joined.AsSpan(0, length), out int id))
                throw Error($"makes the piece {Shown.Quoted(new string(joined, 0, length))}, which model.vocab lacks.");
            if (!_merges.TryAdd(BytePairVocabulary.Pair(leftId, rightId), (rank, id)))
                throw Error($"repeats merges[{_merges[BytePairVocabulary.Pair(leftId, rightId)].Rank}].");
            _mergesBytes |= IsByte(left) || IsByte(right);
            boundaries?.Join(left[^1], right[0]);
            rank++;
        }
    }

    private static bool IsByte(ReadOnlySpan<char> piece) => piece.Length >= 6 && (piece.StartsWith("<0x") || piece[^6..].StartsWith("<0x"));

    private List<AddedToken> ReadAdded(JsonField added)
    {
        List<AddedToken> tokens = [];
        Dictionary<int, string> contents = [];
        Dictionary<string, int> ids = new(StringComparer.Ordinal);
        foreach ((string piece, int id) in _pieces) contents.Add(id, piece);
        int index = 0;
        foreach (JsonElement item in added.Items())
        {
            JsonField token = added.Item(index++, item);
            string content = token.Get("content").String();
            int id = token.Get("id").Integer(0, IdLimit - 1);
            if (content.Length == 0) throw token.Get("content").Error("is empty.");
            if (contents.TryGetValue(id, out string? other) && other != content)
                throw token.Get("id").Error($"is {id}, which is the id of {Shown.Quoted(other)}, not of {Shown.Quoted(content)}.");
            if ((_pieces.TryGetValue(content, out int known) || ids.TryGetValue(content, out known)) && known != id)
                throw token.Get("id").Error($"is {id}, but {Shown.Quoted(content)} already has the id {known}.");
            if (!ids.TryAdd(content, id))
                throw token.Get("content").Error($"is {Shown.Quoted(content)}, which an earlier added token has too.");
            contents[id] = content;
            tokens.Add(new AddedToken(
                content, id, Flag(token, "special"), Flag(token, "normalized"), Flag(token, "single_word"), Flag(token, "lstrip"),
                Flag(token, "rstrip")));
        }

        return tokens;
    }

    private static void Require(JsonField field, string expected)
    {
        string actual = field.String();
        if (actual != expected)
            throw field.Error($"is {Shown.Quoted(actual)}, which LdlVk does not implement; it needs {Shown.Quoted(expected)}. {Advice}");
    }
}
