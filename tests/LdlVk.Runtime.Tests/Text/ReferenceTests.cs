using System.Text.Json;
using System.Text.Json.Nodes;
using LdlVk.Runtime.Text;
using LdlVk.Runtime.Text.Files;
using LdlVk.Runtime.Text.Normalizing;
using LdlVk.Runtime.Text.Splitting;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Text;

/// <summary>Whole tokenizers and their steps against the Rust library, on texts that are made up.</summary>
[Trait("Duration", "Long")]
public sealed class ReferenceTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("gemma2")]
    [InlineData("llama3")]
    [InlineData("qwen3")]
    [InlineData("gemma3")]
    [InlineData("llama2")]
    [InlineData("claude")]
    [InlineData("deepseek_v3")]
    [InlineData("gpt35turbo")]
    [InlineData("gpt4o")]
    [InlineData("gptoss")]
    public void Published_tokenizers_give_the_reference_ids_and_texts(string model)
    {
        FetchedTokenizer fetched = FetchedTokenizer.All[model];
        Assert.SkipWhen(fetched.File.Path is null, fetched.File.WhyNot ?? "");
        List<string> texts = Reference.Texts(1500, 11, fetched.Instance.SpecialTokens);
        Compare(fetched.Instance, Reference.Of("file", fetched.File.Path!, texts), texts);
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void Made_up_tokenizers_give_the_reference_ids_and_texts(string name, string changes)
    {
        JsonObject file = MadeUp();
        foreach ((string key, JsonNode? value) in JsonNode.Parse(changes)!.AsObject())
        {
            if (key == "model") foreach ((string field, JsonNode? of) in value!.AsObject()) file["model"]![field] = of?.DeepClone();
            else file[key] = value?.DeepClone();
        }

        Tokenizer tokenizer = Tokenizer.Load(_folder.Write($"{name}.json", file.ToJsonString()));
        string[] tokens = [.. file["added_tokens"]!.AsArray().Select(token => token!["content"]!.GetValue<string>())];
        List<string> texts = Reference.Texts(1500, 12, tokens);
        Compare(tokenizer, Reference.Of("tokenizer", file, texts), texts);
    }

    public static TheoryData<string, string> Variants => new()
    {
        { "plain", "{}" },
        { "unknown", """{"model":{"byte_fallback":false}}""" },
        { "fused", """{"model":{"byte_fallback":false,"fuse_unk":true}}""" },
        { "ignored", """{"model":{"ignore_merges":true}}""" },
        { "prepend", """{"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}}""" },
        { "expressions", """{"normalizer":{"type":"Replace","pattern":{"Regex":"\\s{2,}|e+"},"content":" a"}}""" },
        { "nfkc", """{"normalizer":{"type":"NFKC"}}""" },
        { "nmt", """{"normalizer":{"type":"Sequence","normalizers":[{"type":"Nmt"},{"type":"NFD"}]}}""" },
        { "always", """{"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true},"decoder":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}}""" },
        { "first", """{"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false},"decoder":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}}""" },
        { "legacy", """{"pre_tokenizer":{"type":"Metaspace","replacement":"▁","add_prefix_space":true},"decoder":{"type":"Metaspace","replacement":"▁","add_prefix_space":true}}""" },
        { "strip", """{"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}}""" },
        { "pieces", """{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Punctuation"},{"type":"Digits","individual_digits":true}]}}""" },
    };

    [Theory]
    [InlineData("""{"type":"NFC"}""")]
    [InlineData("""{"type":"NFD"}""")]
    [InlineData("""{"type":"NFKC"}""")]
    [InlineData("""{"type":"NFKD"}""")]
    [InlineData("""{"type":"Nmt"}""")]
    [InlineData("""{"type":"Strip","strip_left":true,"strip_right":false}""")]
    [InlineData("""{"type":"Replace","pattern":{"Regex":"a*"},"content":"-"}""")]
    [InlineData("""{"type":"Replace","pattern":{"String":"the"},"content":""}""")]
    public void Normalizers_give_the_reference_texts(string json)
    {
        // Every character alone and behind a letter with a mark, then mixtures of marks.
        List<string> texts = [.. Reference.Texts(2000, 13, [])];
        for (int code = 0; code < 0x110000; code += code < 0x30000 ? 3 : 97)
            if (System.Text.Rune.TryCreate(code, out System.Text.Rune rune)) texts.Add($"{rune}a\u0301{rune}\u0323\u1161");
        Random random = new(1);
        int[] marks = [0x61, 0x300, 0x301, 0x323, 0x327, 0x334, 0x345, 0x5B0, 0x1100, 0x1161, 0x11A8, 0xAC00, 0x9BE, 0x9C7, 0xFB49, 0x1D157, 0x1D165, 0x212B];
        for (int i = 0; i < 2000; i++)
            texts.Add(string.Concat(Enumerable.Range(0, 8).Select(_ => new System.Text.Rune(marks[random.Next(marks.Length)]).ToString())));
        JsonNode step = JsonNode.Parse(json)!;
        Normalizer normalizer = OfJson(new JsonObject { ["normalizer"] = step.DeepClone() }, PipelineReader.Normalizer)!;
        JsonElement[] expected = Reference.Of("normalizer", step, texts);
        for (int i = 0; i < texts.Count; i++)
        {
            NormalizedText found = normalizer.Apply(new(texts[i]));
            Assert.Equal(expected[i].GetString(), found.Text);
            if (found.Origins is null) continue;
            Assert.Equal((found.Text.Length + 1, texts[i].Length), (found.Origins.Length, found.Origins[^1]));
            Assert.Equal(found.Origins.Order(), found.Origins);
        }
    }

    [Theory]
    [InlineData("""{"type":"Whitespace"}""")]
    [InlineData("""{"type":"WhitespaceSplit"}""")]
    [InlineData("""{"type":"Punctuation","behavior":"MergedWithPrevious"}""")]
    [InlineData("""{"type":"Punctuation"}""")]
    [InlineData("""{"type":"Digits","individual_digits":false}""")]
    [InlineData("""{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}""")]
    public void Pre_tokenizers_give_the_reference_pieces(string json) => ComparePieces([(JsonNode.Parse(json)!, Characters.Value)]);

    public static TheoryData<string> Expressions =>
    [
        Llama3Words.Pattern, Llama3Words.SingleDigitPattern, Gpt2Words.Pattern, @"\s+(?!\S)|\s+", @"\p{N}{1,3}+", @"\p{N}{2}?", @"a{,2}", "a{2,}b?+", @"(?i:'s|'t)|x",
        @"(?i)the|k", @"[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s", @" ?[^(\s|[.,!?…。，、।۔،])]+", @"\w+|[^\w\s]+", @"\b", @"\B.",
        @"(?<=\s)\p{L}", @"(?<!\s)\p{L}", "^.", ".$", @"\A.", @".\z", @".\Z", @"(?>a|ab)c?", @"(?:a|the|\d)+?", @"[一-龥぀-ゟ゠-ヿ]+", @"\p{^L}+", @"\P{L}", @"[\w-]+", @"\h+", @"\x{4e00}|\u6f22|\x41",
        @"[!""#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+", "a*", "a*?", "(?:)|e", "x|", @"(?=e)", @"[\r\n]", @"\s?\p{L}+", @"\s?\p{P}+", "[0-9][0-9][0-9]",
        @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ];

    [Theory]
    [MemberData(nameof(Expressions))]
    public void Expressions_divide_as_the_reference_does(string expression)
    {
        List<string> few = Reference.Texts(100, 14, ["abc", "'S", "ab\nc"]);
        ComparePieces(
        [
            .. from behavior in Enum.GetNames<MatchBehavior>()
               from invert in (bool[])[false, true]
               select ((JsonNode)new JsonObject
               {
                   ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = expression }, ["behavior"] = behavior, ["invert"] = invert,
               }, behavior == "Isolated" && !invert ? Characters.Value : few),
        ]);
    }

    private static readonly Lazy<List<string>> Characters = new(() =>
    {
        List<string> texts = [.. Reference.Texts(1500, 15, ["abc", "'S", "aab"])];
        for (int code = 1; code < 0x20000; code += code < 0x500 ? 1 : 37)
            if (System.Text.Rune.TryCreate(code, out System.Text.Rune rune)) texts.Add($"a{rune}1 {rune}{rune}\n");
        return texts;
    });

    private static void ComparePieces(IReadOnlyList<(JsonNode PreTokenizer, List<string> Texts)> cases)
    {
        JsonElement[][] expected = Reference.OfEach("pre_tokenizer", cases);
        EncodingRun run = new(new BytePairVocabulary([], [], new int[256], []), null, null, 0, hasRanges: false);
        foreach ((int index, (JsonNode json, List<string> texts)) in cases.Index())
        {
            PreTokenizer first = OfJson(new JsonObject { ["pre_tokenizer"] = json.DeepClone() }, root => PipelineReader.PreTokenizer(root, out _))!;
            Capture capture = new();
            first.Next = capture;
            for (int i = 0; i < texts.Count; i++)
            {
                capture.Pieces.Clear();
                first.Split(new Piece(texts[i], 0, 0), run);
                Assert.Equal(expected[index][i].EnumerateArray().Select(piece => piece.GetString()), capture.Pieces);
            }
        }
    }

    private static T OfJson<T>(JsonObject json, Func<Json.JsonField, T> read) =>
        Json.JsonFile.Parse("x", System.Text.Encoding.UTF8.GetBytes(json.ToJsonString()), read);

    private static void Compare(Tokenizer tokenizer, JsonElement[] expected, List<string> texts)
    {
        for (int i = 0; i < texts.Count; i++)
        {
            int[] ids = expected[i].Ids("ids");
            Assert.Equal(ids, tokenizer.Encode(texts[i]));
            Assert.Equal(expected[i].Text("text"), tokenizer.Decode(ids));
            CheckRanges(tokenizer, texts[i], ids);
        }
    }

    /// <summary>The same ids with ranges, which go forward and end where the text does.</summary>
    private static void CheckRanges(Tokenizer tokenizer, string text, int[] ids)
    {
        var tokens = tokenizer.EncodeToTokens(text, out string? normalized);
        Assert.Null(normalized);
        Assert.Equal(ids, tokens.Select(token => token.Id));
        int before = 0;
        foreach (var token in tokens)
        {
            Assert.InRange(token.Offset.Start.Value, before, text.Length);
            Assert.InRange(token.Offset.End.Value, token.Offset.Start.Value, text.Length);
            before = token.Offset.Start.Value;
        }
    }

    /// <summary>A tokenizer of letters and bytes with merges, and added tokens with every flag.</summary>
    private static JsonObject MadeUp()
    {
        JsonObject vocabulary = new() { ["<unk>"] = 0 };
        for (int b = 0; b < 256; b++) vocabulary[$"<0x{b:X2}>"] = vocabulary.Count;
        foreach (char c in "▁ abcdefghilmnoqrstuvwTHEDO'1239!.,é\n") vocabulary[c.ToString()] = vocabulary.Count;
        JsonArray merges = [];
        foreach (string merge in (string[])["t h", "th e", "▁ the", "▁ T", "a a", "aa aa", "▁ ▁", "e l", "l l", "el l", "1 2", "12 3", "! !", "' t", "o n", "d on", "  a", "h e", "q u"])
        {
            string[] pair = merge.StartsWith("  ", StringComparison.Ordinal) ? [" ", "a"] : merge.Split(' ');
            if (!vocabulary.ContainsKey(pair[0] + pair[1])) vocabulary[pair[0] + pair[1]] = vocabulary.Count;
            merges.Add(new JsonArray(pair[0], pair[1]));
        }

        JsonArray added = [];
        Add("<unk>", "special");
        Add("<s>", "special");
        Add("<mask>", "special", "lstrip");
        Add("<sep>", "special", "rstrip");
        Add("<both>", "lstrip", "rstrip");
        Add("word", "single_word");
        Add("The quick", "normalized");
        Add("é!", "normalized", "lstrip");
        Add("\n\n");
        Add("  ", "normalized");
        return new JsonObject
        {
            ["version"] = "1.0", ["truncation"] = null, ["padding"] = null, ["added_tokens"] = added, ["normalizer"] = null, ["pre_tokenizer"] = null,
            ["post_processor"] = null,
            ["decoder"] = new JsonObject { ["type"] = "Sequence", ["decoders"] = new JsonArray(new JsonObject { ["type"] = "ByteFallback" }, new JsonObject { ["type"] = "Fuse" }) },
            ["model"] = new JsonObject
            {
                ["type"] = "BPE", ["dropout"] = null, ["unk_token"] = "<unk>", ["continuing_subword_prefix"] = null, ["end_of_word_suffix"] = null,
                ["fuse_unk"] = false, ["byte_fallback"] = true, ["ignore_merges"] = false, ["vocab"] = vocabulary, ["merges"] = merges,
            },
        };

        void Add(string content, params string[] flags)
        {
            JsonObject token = new() { ["id"] = content == "<unk>" ? 0 : vocabulary.Count + added.Count - 1, ["content"] = content };
            foreach (string flag in (string[])["single_word", "lstrip", "rstrip", "normalized", "special"]) token[flag] = flags.Contains(flag);
            added.Add(token);
        }
    }

    private sealed class Capture : PreTokenizer
    {
        public List<string> Pieces { get; } = [];

        public override void Split(Piece piece, EncodingRun run) => Pieces.Add(piece.Text.ToString());
    }
}
