using System.Globalization;
using System.Text;
using System.Text.Json;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Text;

/// <summary>The contents of a tokenizer.json, verified to be consistent and to describe the algorithm of Gemma-2 or of Llama 3.</summary>
internal sealed class TokenizerFile
{
    /// <summary>
    /// Limit of the file's size. The largest real files have a few tens of MB, and a parsed file takes several times its size.
    /// </summary>
    internal const long MaxBytes = 128L << 20;

    private const string Advice =
        "Score token ids made elsewhere (\"input_ids\") instead, or use the tokenizer.json of the original checkpoint.";

    /// <summary>Limit of ids. No embedding table has as many rows, so a larger id means damage.</summary>
    private const int IdLimit = 1 << 24;

    /// <summary>
    /// Limit of the initial capacity for pieces and merges, whose number is not verified yet; Gemma-2 has 256,000 and 580,604.
    /// </summary>
    private const int Expected = 1 << 20;

    /// <summary>Ids of all tokens by content, including added tokens.</summary>
    internal Dictionary<string, int> Ids { get; } = new(StringComparer.Ordinal);

    /// <summary>Ids of the added tokens by content.</summary>
    internal Dictionary<string, int> Added { get; } = new(StringComparer.Ordinal);

    /// <summary>
    /// Ids of the added tokens that are looked for after the normalizer, in what the others leave of a text; by normalized content.
    /// </summary>
    internal Dictionary<string, int> AddedNormalized { get; } = new(StringComparer.Ordinal);

    /// <summary>Whether a word that is a piece is that piece, whether merges reach it or not.</summary>
    internal bool IgnoresMerges { get; }

    /// <summary>
    /// Contents of the added tokens that control the model instead of representing text; those that mark turns always do.
    /// </summary>
    internal HashSet<string> Special { get; } = new(StringComparer.Ordinal)
    {
        "<bos>", "<start_of_turn>", "<end_of_turn>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
    };

    /// <summary>The pieces and merges of byte-pair encoding.</summary>
    internal BytePairVocabulary Pieces { get; } = new([], new int[256], []);

    /// <summary>Splits text into words.</summary>
    internal WordSplitter Words { get; }

    /// <summary>Whether symbols are bytes and pieces are stored in <see cref="ByteLevel"/> form, as in Llama 3.</summary>
    internal bool IsByteLevel { get; }

    private TokenizerFile(JsonField root)
    {
        JsonField model = root.Get("model");
        IsByteLevel = Steps(root, "normalizer", "normalizers").Count == 0
            && root.TryGet("pre_tokenizer", out JsonField pre)
            && pre.Get("type").String() == "Sequence";
        if (IsByteLevel)
        {
            CheckByteLevelPipeline(root);
            CheckModel(model, byteFallback: false);
            // Files of before April 2024 lack the field; the reference then merges words that are pieces too.
            IgnoresMerges = model.TryGet("ignore_merges", out JsonField ignored) && ignored.Boolean();
            ReadVocabulary(model.Get("vocab"), ReadByteCharacters);
            ReadMerges(model.Get("merges"), null);
            Words = new Llama3Words();
        }
        else
        {
            CheckPipeline(root);
            CheckModel(model, byteFallback: true);
            if (model.TryGet("ignore_merges", out JsonField ignored)) Require(ignored, false);
            ReadVocabulary(model.Get("vocab"), ReadCharactersAndBytes);
            WordBoundaries boundaries = new();
            ReadMerges(model.Get("merges"), boundaries);
            Words = boundaries;
        }
        if (root.TryGet("added_tokens", out JsonField added)) ReadAdded(added);
    }

    internal static TokenizerFile Read(string path) => JsonFile.Read(path, root => new TokenizerFile(root), MaxBytes);

    // truncation, padding, post_processor and decoder are ignored: they do not change the ids of a plain text.
    private static void CheckPipeline(JsonField root)
    {
        if (Steps(root, "normalizer", "normalizers") is not [var normalizer])
            throw root.Get("normalizer").Error($"has not one step; the tokenizer of Gemma-2 has one, a Replace. {Advice}");
        Require(normalizer.Get("type"), "Replace");
        Require(normalizer.Get("pattern").Get("String"), " ");
        Require(normalizer.Get("content"), "▁");
        // A split at spaces has no effect, because the normalizer replaces all spaces.
        foreach (JsonField pre in Steps(root, "pre_tokenizer", "pretokenizers"))
        {
            Require(pre.Get("type"), "Split");
            Require(pre.Get("pattern").Get("String"), " ");
            if (pre.TryGet("invert", out JsonField invert)) Require(invert, false);
        }
    }

    /// <summary>The steps of a normalizer or pre-tokenizer: itself, or those of a Sequence; none if it is absent or null.</summary>
    private static List<JsonField> Steps(JsonField root, string name, string list)
    {
        List<JsonField> steps = [];
        if (root.TryGet(name, out JsonField field)) Add(field);
        return steps;

        // As deep as the JSON may be.
        void Add(JsonField step)
        {
            if (step.Get("type").String() != "Sequence")
            {
                steps.Add(step);
                return;
            }

            JsonField items = step.Get(list);
            int index = 0;
            foreach (JsonElement item in items.Items()) Add(items.Item(index++, item));
        }
    }

    /// <summary>Reads the pre-tokenizer of Llama 3: words by its regular expression, then bytes.</summary>
    private static void CheckByteLevelPipeline(JsonField root)
    {
        List<JsonField> steps = Steps(root, "pre_tokenizer", "pretokenizers");
        if (steps.Count != 2)
            throw root.Get("pre_tokenizer").Get("pretokenizers").Error(
                $"has {steps.Count} steps; the tokenizer of Llama 3 has 2, a Split and a ByteLevel. {Advice}");
        Require(steps[0].Get("type"), "Split");
        Require(steps[0].Get("pattern").Get("Regex"), Llama3Words.Pattern);
        Require(steps[0].Get("behavior"), "Isolated");
        if (steps[0].TryGet("invert", out JsonField invert)) Require(invert, false);
        Require(steps[1].Get("type"), "ByteLevel");
        Require(steps[1].Get("add_prefix_space"), false);
        Require(steps[1].Get("use_regex"), false);
    }

    private static void CheckModel(JsonField model, bool byteFallback)
    {
        Require(model.Get("type"), "BPE");
        if (byteFallback) Require(model.Get("byte_fallback"), true);
        else if (model.TryGet("byte_fallback", out JsonField fallback)) Require(fallback, false);
        if (model.TryGet("dropout", out JsonField dropout)
            && !(dropout.Value.ValueKind == JsonValueKind.Number && dropout.Value.GetDouble() == 0))
            throw dropout.Error("is set, so the same text would not always give the same ids. LdlVk needs it to be null.");
        foreach (string affix in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
            if (model.TryGet(affix, out JsonField field)) Require(field, "");
    }

    private void ReadVocabulary(JsonField vocabulary, Action<JsonField> readSymbols)
    {
        var members = vocabulary.Members();
        Ids.EnsureCapacity(Math.Min(vocabulary.Value.GetPropertyCount(), Expected));
        HashSet<int> used = new(Ids.Capacity);
        foreach (JsonProperty piece in members)
        {
            JsonElement value = piece.Value;
            if (value.ValueKind != JsonValueKind.Number || !value.TryGetInt32(out int id) || id < 0 || id >= IdLimit)
                id = vocabulary.Member(Shown.Quoted(piece.Name), value).Integer(0, IdLimit - 1); // repeats the check, with an error message
            string text = piece.Name;
            if (!used.Add(id)) throw vocabulary.Member(Shown.Quoted(text), value).Error($"has the id {id}, which another piece has too.");
            Ids.Add(text, id);
        }
        readSymbols(vocabulary);
    }

    /// <summary>Builds the tables for symbols that are characters, with bytes as fallback.</summary>
    private void ReadCharactersAndBytes(JsonField vocabulary)
    {
        foreach ((string text, int id) in Ids)
            if (text.Length is 1 or 2
                && Rune.DecodeFromUtf16(text, out Rune rune, out int length) == System.Buffers.OperationStatus.Done
                && length == text.Length)
                Pieces.Characters.Add(rune.Value, id);
        for (int b = 0; b < 256; b++)
        {
            string piece = string.Create(CultureInfo.InvariantCulture, $"<0x{b:X2}>");
            // Gemma-2 has "\t" instead of <0x09>: a character that is a piece never falls back to its byte.
            if (!Ids.TryGetValue(piece, out Pieces.Bytes[b]) && !(b < 128 && Pieces.Characters.ContainsKey(b)))
                throw vocabulary.Error($"lacks the byte piece {piece}, which byte_fallback needs.");
        }
    }

    /// <summary>Builds the tables for symbols that are bytes.</summary>
    private void ReadByteCharacters(JsonField vocabulary)
    {
        for (int b = 0; b < 256; b++)
            if (!Ids.TryGetValue(ByteLevel.Characters[b].ToString(), out Pieces.Bytes[b]))
                throw vocabulary.Error(
                    $"lacks the piece {Shown.Quoted(ByteLevel.Characters[b].ToString())}, which stands for the byte {b}.");
    }

    /// <summary>Reads the merges; <paramref name="boundaries"/>, where words are cut by that, learns what they reach across.</summary>
    private void ReadMerges(JsonField merges, WordBoundaries? boundaries)
    {
        var ids = Ids.GetAlternateLookup<ReadOnlySpan<char>>();
        var items = merges.Items();
        Pieces.Merges.EnsureCapacity(Math.Min(merges.Value.GetArrayLength(), Expected));
        char[] joined = new char[64];
        int rank = 0;
        foreach (JsonElement item in items)
        {
            CheckpointException Error(string why) => merges.Item(rank, item).Error(why);
            string? line = null, second = null;
            int cut = -1;
            if (item.ValueKind == JsonValueKind.String)
            {
                line = item.GetString()!;
                cut = line.IndexOf(' ', StringComparison.Ordinal);
                if (cut < 0 || line.LastIndexOf(' ') != cut) throw Error($"is {Shown.Quoted(line)}, not two pieces with a space between.");
            }
            else if (item.ValueKind == JsonValueKind.Array && item.GetArrayLength() == 2)
            {
                line = merges.Item(rank, item[0]).String();
                second = merges.Item(rank, item[1]).String();
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
            if (!Pieces.Merges.TryAdd(BytePairVocabulary.Pair(leftId, rightId), (rank, id)))
                throw Error($"repeats merges[{Pieces.Merges[BytePairVocabulary.Pair(leftId, rightId)].Rank}].");
            boundaries?.Join(left[^1], right[0]);
            rank++;
        }
    }

    private void ReadAdded(JsonField added)
    {
        Dictionary<int, string> contents = Ids.ToDictionary(piece => piece.Value, piece => piece.Key);
        int index = 0;
        foreach (JsonElement item in added.Items())
        {
            JsonField token = added.Item(index++, item);
            string content = token.Get("content").String();
            int id = token.Get("id").Integer(0, IdLimit - 1);
            if (content.Length == 0) throw token.Get("content").Error("is empty.");
            foreach (string flag in (string[])["single_word", "lstrip", "rstrip"])
                if (token.TryGet(flag, out JsonField field)) Require(field, false);
            if (contents.TryGetValue(id, out string? other) && other != content)
                throw token.Get("id").Error($"is {id}, which is the id of {Shown.Quoted(other)}, not of {Shown.Quoted(content)}.");
            if (Ids.TryGetValue(content, out int known) && known != id)
                throw token.Get("id").Error($"is {id}, but {Shown.Quoted(content)} already has the id {known}.");
            bool normalized = token.TryGet("normalized", out JsonField wants) && wants.Boolean();
            if (Added.ContainsKey(content) || AddedNormalized.ContainsKey(Words.Normalize(content))
                || !(normalized ? AddedNormalized : Added).TryAdd(normalized ? Words.Normalize(content) : content, id))
                throw token.Get("content").Error($"is {Shown.Quoted(content)}, which an earlier added token has too.");
            if (token.TryGet("special", out JsonField special) && special.Boolean())
                Special.Add(normalized ? Words.Normalize(content) : content);
            contents[id] = content;
            Ids[content] = id;
        }
    }

    private static void Require(JsonField field, string expected)
    {
        string actual = field.String();
        if (actual != expected) throw NotKnown(field, Shown.Quoted(actual), Shown.Quoted(expected));
    }

    private static void Require(JsonField field, bool expected)
    {
        if (field.Boolean() != expected) throw NotKnown(field, expected ? "false" : "true", expected ? "true" : "false");
    }

    private static CheckpointException NotKnown(JsonField field, string actual, string expected) =>
        field.Error($"is {actual}, but {expected} is what the tokenizers have that LdlVk knows, Gemma-2's and Llama 3's. {Advice}");
}
