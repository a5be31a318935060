using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using LdlVk.Runtime.Text;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Text;

/// <summary>What Load takes, and how it refuses what it does not: a CheckpointException that names the file and the field.</summary>
public sealed class TokenizerFileTests : IDisposable
{
    private readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    // A small sound file: bytes 0 … 255, then <bos> = 256, then letters, and two merges.
    private static JsonObject Sound()
    {
        JsonObject vocabulary = [];
        for (int b = 0; b < 256; b++) vocabulary[$"<0x{b:X2}>"] = b;
        foreach (string piece in (string[])["<bos>", "a", "b", "▁", "ab", "▁ab"]) vocabulary[piece] = vocabulary.Count;
        return new JsonObject
        {
            ["normalizer"] = new JsonObject { ["type"] = "Replace", ["pattern"] = new JsonObject { ["String"] = " " }, ["content"] = "▁" },
            ["added_tokens"] = new JsonArray(new JsonObject { ["id"] = 256, ["content"] = "<bos>", ["normalized"] = false }),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["byte_fallback"] = true,
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray("a b", new JsonArray("▁", "ab")),
            },
        };
    }

    private Tokenizer Load(string json) => Tokenizer.Load(folder.Write("tokenizer.json", json));

    private string Refusal(byte[] json)
    {
        string path = folder.Write("tokenizer.json", json);
        string message = Assert.Throws<CheckpointException>(() => Tokenizer.Load(path)).Message;
        Assert.StartsWith(path, message, StringComparison.Ordinal);
        Assert.True(message.Length < path.Length + 600, message);
        return message;
    }

    private string Refusal(string json) => Refusal(Encoding.UTF8.GetBytes(json));

    [Fact]
    public void Merges_come_as_strings_and_as_pairs()
    {
        Tokenizer tokenizer = Load(Sound().ToJsonString());
        Assert.Equal([261, 260, 256, 258, 0xC3, 0xA9], tokenizer.Encode(" abab<bos>bé"));
        Assert.Equal(262, tokenizer.VocabularySize);
    }

    [Fact]
    public void A_byte_order_mark_is_no_part_of_the_JSON() => Assert.Equal([256, 260], Load("\uFEFF" + Sound().ToJsonString()).Encode("<bos>ab"));

    [Fact]
    public void Text_is_cut_only_where_this_vocabulary_allows()
    {
        // Unlike Gemma-2's, these merges span a space and a newline.
        JsonObject file = Sound();
        foreach (string piece in (string[])["\n", "b▁", "b▁a", "a\n", "é", "😀", "é😀"]) file["model"]!["vocab"]![piece] = file["model"]!["vocab"]!.AsObject().Count;
        file["model"]!["merges"] = new JsonArray("b ▁", "b▁ a", "a \n", "é 😀");
        Tokenizer tokenizer = Load(file.ToJsonString());
        Assert.Equal([264, 265, 262, 268], tokenizer.Encode("b aa\n\né😀"));
    }

    [Fact]
    public void Added_tokens_may_lie_outside_the_vocabulary()
    {
        JsonObject file = Sound();
        file["added_tokens"]!.AsArray().Add(new JsonObject { ["id"] = 300, ["content"] = "<new>" });
        file["added_tokens"]!.AsArray().Add(new JsonObject { ["id"] = 301, ["content"] = "<new>er" });
        Tokenizer tokenizer = Load(file.ToJsonString());
        Assert.Equal([300, 257, 301], tokenizer.Encode("<new>a<new>er"));
        Assert.Equal(302, tokenizer.VocabularySize);
    }

    [Theory]
    [InlineData("normalizer.type", "\"Precompiled\"", "normalizer.type is \"Precompiled\"")]
    [InlineData("normalizer.type", "\"Lowercase\"", "normalizer.type is \"Lowercase\"")]
    [InlineData("normalizer.content", "7", "normalizer.content is 7")]
    [InlineData("normalizer.pattern", "{\"Regex\":\"(a\"}", "has a '(' without its ')' at 0")]
    [InlineData("normalizer.pattern", "{\"Regex\":\"\\\\p{Han}\"}", "has \\p{Han}, which is not implemented")]
    [InlineData("normalizer.pattern.String", "\"\"", "normalizer.pattern.String is empty")]
    [InlineData("pre_tokenizer", "{\"type\":\"UnicodeScripts\"}", "pre_tokenizer.type is \"UnicodeScripts\"")]
    [InlineData("pre_tokenizer", "{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"Merged\"}", "behavior is \"Merged\"")]
    [InlineData("pre_tokenizer", "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}", "which stands for the byte 0")]
    [InlineData("pre_tokenizer", "{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"add_prefix_space\":false,\"prepend_scheme\":\"first\"}", "contradicts add_prefix_space")]
    [InlineData("pre_tokenizer", "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\",\"add_prefix_space\":false},{\"type\":\"Digits\"}]}", "pretokenizers[1] stands behind a ByteLevel step")]
    [InlineData("pre_tokenizer", "[]", "pre_tokenizer is an array")]
    [InlineData("model", "7", "model is 7, not an object")]
    [InlineData("model.type", "\"Unigram\"", "model.type is \"Unigram\"")]
    [InlineData("model.byte_fallback", "false", "has neither byte_fallback nor an unk_token")]
    [InlineData("model.byte_fallback", "\"true\"", "model.byte_fallback is \"true\", not true or false")]
    [InlineData("model.ignore_merges", "\"yes\"", "model.ignore_merges is \"yes\"")]
    [InlineData("model.unk_token", "3", "model.unk_token is 3")]
    [InlineData("model.dropout", "0.1", "model.dropout is set")]
    [InlineData("model.continuing_subword_prefix", "\"##\"", "model.continuing_subword_prefix")]
    [InlineData("model.end_of_word_suffix", "\"</w>\"", "model.end_of_word_suffix")]
    [InlineData("model.vocab", "[]", "model.vocab is an array")]
    [InlineData("model.vocab", "{}", "model.vocab lacks the byte piece <0x00>")]
    [InlineData("model.vocab.a", "-1", "model.vocab.\"a\" is -1")]
    [InlineData("model.vocab.a", "16777216", "model.vocab.\"a\" is 16777216")]
    [InlineData("model.vocab.a", "1e30", "model.vocab.\"a\" is 1e30")]
    [InlineData("model.vocab.a", "1.5", "model.vocab.\"a\" is 1.5")]
    [InlineData("model.vocab.a", "\"257\"", "model.vocab.\"a\" is \"257\", not an integer")]
    [InlineData("model.vocab.a", "258", "has the id 258, which another piece has too")]
    [InlineData("model.merges", "{}", "model.merges is an object")]
    [InlineData("model.merges", "null", "model.merges is missing")]
    [InlineData("model.merges", "[\"a b\",\"a c\"]", "model.merges[1] names the piece \"c\"")]
    [InlineData("model.merges", "[\"c a\"]", "model.merges[0] names the piece \"c\"")]
    [InlineData("model.merges", "[\"b a\"]", "model.merges[0] makes the piece \"ba\"")]
    [InlineData("model.merges", "[\"ab\"]", "model.merges[0] is \"ab\"")]
    [InlineData("model.merges", "[\"a  b\"]", "model.merges[0] is \"a  b\"")]
    [InlineData("model.merges", "[\" b\"]", "model.merges[0] names an empty piece")]
    [InlineData("model.merges", "[[\"\",\"b\"]]", "model.merges[0] names an empty piece")]
    [InlineData("model.merges", "[[\"a\"]]", "model.merges[0] is neither")]
    [InlineData("model.merges", "[[\"a\",null]]", "model.merges[0] is null")]
    [InlineData("model.merges", "[3]", "model.merges[0] is neither")]
    [InlineData("model.merges", "[\"a b\",[\"a\",\"b\"]]", "model.merges[1] repeats merges[0]")]
    [InlineData("added_tokens", "{}", "added_tokens is an object")]
    [InlineData("added_tokens", "[3]", "added_tokens[0] is 3, not an object")]
    [InlineData("added_tokens", "[{\"id\":1}]", "added_tokens[0].content is missing")]
    [InlineData("added_tokens", "[{\"id\":400,\"content\":\"\"}]", "added_tokens[0].content is empty")]
    [InlineData("added_tokens", "[{\"id\":-5,\"content\":\"x\"}]", "added_tokens[0].id is -5")]
    [InlineData("added_tokens", "[{\"id\":257,\"content\":\"x\"}]", "the id of \"a\", not of \"x\"")]
    [InlineData("added_tokens", "[{\"id\":400,\"content\":\"a\"}]", "already has the id 257")]
    [InlineData("added_tokens", "[{\"id\":400,\"content\":\"x\"},{\"id\":400,\"content\":\"y\"}]", "added_tokens[1].id is 400")]
    [InlineData("added_tokens", "[{\"id\":400,\"content\":\"x\"},{\"id\":400,\"content\":\"x\"}]", "added_tokens[1].content is \"x\"")]
    [InlineData("added_tokens", "[{\"id\":400,\"content\":\"x\",\"lstrip\":1}]", "added_tokens[0].lstrip is 1")]
    [InlineData("added_tokens", "[{\"id\":400,\"content\":\"x\",\"normalized\":1}]", "added_tokens[0].normalized is 1")]
    [InlineData("added_tokens", "[{\"id\":400,\"content\":\"x\",\"normalized\":true},{\"id\":400,\"content\":\"x\"}]", "added_tokens[1].content is \"x\"")]
    public void A_field_that_is_wrong_is_named(string path, string value, string words)
    {
        JsonObject file = Sound();
        JsonNode parent = file;
        string[] names = path.Split('.');
        foreach (string name in names[..^1]) parent = parent[name]!;
        parent[names[^1]] = JsonNode.Parse(value);
        Assert.Contains(words, Refusal(file.ToJsonString()), StringComparison.Ordinal);
    }

    /// <summary>Those are looked for in what the other added tokens leave of a text, after the spaces are replaced, as the reference does.</summary>
    [Fact]
    public void Added_tokens_may_be_normalized()
    {
        JsonObject file = Sound();
        foreach ((string content, int id, bool normalized) in (IEnumerable<(string, int, bool)>)[("[PAD]", 300, true), ("b[", 301, false), ("a b", 302, true), ("a[", 303, true)])
            file["added_tokens"]!.AsArray().Add(new JsonObject { ["id"] = id, ["content"] = content, ["normalized"] = normalized });
        Tokenizer tokenizer = Load(file.ToJsonString());
        Assert.Equal([300, 258], tokenizer.Encode("[PAD]b"));
        Assert.Equal(303, tokenizer.Encode("a[PAD]b")[0]);
        Assert.Equal([302, 302], tokenizer.Encode("a ba▁b"));
        // The first pass takes "b[", and what is left of the other token is text.
        Assert.Equal(301, tokenizer.Encode("b[PAD]")[0]);
        Assert.DoesNotContain(300, tokenizer.Encode("b[PAD]"));
    }

    /// <summary>A Sequence of one step is that step.</summary>
    [Fact]
    public void A_normalizer_in_a_list_is_read()
    {
        JsonObject file = Sound();
        JsonNode normalizer = file["normalizer"]!.DeepClone();
        file["normalizer"] = new JsonObject { ["type"] = "Sequence", ["normalizers"] = new JsonArray(new JsonObject { ["type"] = "Sequence", ["normalizers"] = new JsonArray(normalizer) }) };
        file["pre_tokenizer"] = new JsonObject { ["type"] = "Sequence", ["pretokenizers"] = new JsonArray() };
        Assert.Equal([261, 260, 256, 258, 0xC3, 0xA9], Load(file.ToJsonString()).Encode(" abab<bos>bé"));
    }

    [Fact]
    public void A_token_in_front_of_every_text_is_in_the_vocabulary()
    {
        JsonObject file = Sound();
        file["post_processor"] = JsonNode.Parse("""{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<bos>"}},{"Sequence":{"id":"A"}}]}""");
        Assert.Equal(256, Load(file.ToJsonString()).Bos);
        file["model"]!["vocab"]!.AsObject().Remove("<bos>");
        file["added_tokens"] = null;
        Assert.Contains("<bos>", Refusal(file.ToJsonString()), StringComparison.Ordinal);
        file["post_processor"] = null;
        Assert.Null(Load(file.ToJsonString()).Bos);
    }

    /// <summary>What transformers' tokenizer(text) gives is what the post-processor makes of a text.</summary>
    [Theory]
    [InlineData("null")]
    [InlineData("{'type':'ByteLevel','add_prefix_space':false,'trim_offsets':true,'use_regex':true}")]
    [InlineData("{'type':'TemplateProcessing','single':[{'SpecialToken':{'id':'<bos>','type_id':0}},{'Sequence':{'id':'A','type_id':0}}],'pair':[{'Sequence':{'id':'A','type_id':0}},{'Sequence':{'id':'B','type_id':0}}],'special_tokens':{'<bos>':{'id':'<bos>','ids':[256],'tokens':['<bos>']}}}")]
    [InlineData("{'type':'TemplateProcessing','single':[{'SpecialToken':{'id':'<bos>','type_id':0}},{'Sequence':{'id':'A','type_id':0}},{'SpecialToken':{'id':'<bos>','type_id':0}},{'SpecialToken':{'id':'<bos>','type_id':0}}],'pair':[{'Sequence':{'id':'A','type_id':0}},{'Sequence':{'id':'B','type_id':0}}],'special_tokens':{'<bos>':{'id':'<bos>','ids':[256],'tokens':['<bos>']}}}")]
    [InlineData("{'type':'TemplateProcessing','single':[{'Sequence':{'id':'A','type_id':0}},{'SpecialToken':{'id':'<bos>','type_id':0}}],'pair':[{'Sequence':{'id':'A','type_id':0}},{'Sequence':{'id':'B','type_id':0}}],'special_tokens':{'<bos>':{'id':'<bos>','ids':[256],'tokens':['<bos>']}}}")]
    [InlineData("{'type':'RobertaProcessing','sep':['<bos>',256],'cls':['<bos>',256],'trim_offsets':true,'add_prefix_space':false}")]
    [InlineData("{'type':'Sequence','processors':[{'type':'ByteLevel','add_prefix_space':false,'trim_offsets':true,'use_regex':true},{'type':'BertProcessing','sep':['<bos>',256],'cls':['<bos>',256]}]}")]
    public void A_whole_text_has_what_the_post_processor_puts_around_it(string processor)
    {
        JsonObject file = Sound();
        file["post_processor"] = JsonNode.Parse(processor.Replace('\'', '"'));
        JsonObject whole = file.DeepClone().AsObject();
        (whole["version"], whole["truncation"], whole["padding"], whole["pre_tokenizer"], whole["decoder"]) = ("1.0", null, null, null, null);
        foreach (string flag in (string[])["single_word", "lstrip", "rstrip", "special"]) whole["added_tokens"]![0]![flag] = flag == "special";
        whole["model"]!["merges"] = new JsonArray("a b", "▁ ab");
        JsonObject request = ReferenceTokenizers.Request("tokenizer", whole, ["ab", "b a"]);
        request["surround"] = true;
        Assert.SkipWhen(ReferenceTokenizers.WhyNot is not null, ReferenceTokenizers.WhyNot ?? "");
        int[][] want = [.. ReferenceTokenizers.Answers([request])[0].Select(answer => answer.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()).ToArray())];
        LdlVk.Runtime.Text.Tokenizer tokenizer = Load(file.ToJsonString());
        // Where the file is silent, a <bos> is known to begin texts: an old rule for files that lost their post-processor.
        int[] known = processor is "null" || processor.StartsWith("{'type':'ByteLevel'", StringComparison.Ordinal) ? [256] : [];
        Assert.Equal(want.Select(ids => (int[])[.. known, .. ids]), ((string[])["ab", "b a"]).Select(text => tokenizer.Surround(tokenizer.Encode(text))));
    }

    /// <summary>As LlamaTokenizerFast of transformers 4, and every tokenizer of transformers 5, do.</summary>
    [Theory]
    [InlineData("{}", "256 257 256")]
    [InlineData("{'add_bos_token':false,'bos_token':'<bos>'}", "257 256")]
    [InlineData("{'add_eos_token':false,'eos_token':'<bos>'}", "256 257")]
    [InlineData("{'add_bos_token':false,'add_eos_token':true,'eos_token':'b'}", "257 258")]
    [InlineData("{'add_bos_token':true,'bos_token':'b','add_eos_token':true,'eos_token':null}", "258 257 256")]
    public void The_tokenizer_config_outweighs_it_on_each_side(string config, string ids)
    {
        JsonObject file = Sound();
        file["post_processor"] = JsonNode.Parse("""{"type":"RobertaProcessing","sep":["<bos>",256],"cls":["<bos>",256]}""");
        using TempFolder folder = new();
        folder.Write("tokenizer_config.json", config.Replace('\'', '"'));
        LdlVk.Runtime.Text.Tokenizer tokenizer = LdlVk.Runtime.Text.Tokenizer.Load(folder.Write("tokenizer.json", file.ToJsonString()));
        Assert.Equal(ids, string.Join(' ', tokenizer.Surround(tokenizer.Encode("a"))));
        // What is there already is not put again.
        Assert.Equal(ids, string.Join(' ', tokenizer.Surround(tokenizer.Surround(tokenizer.Encode("a")))));
    }

    [Fact]
    public void Damaged_files_are_refused()
    {
        Assert.Contains("JSON", Refusal(""), StringComparison.Ordinal);
        Assert.Contains("JSON", Refusal("{\"normalizer\":"), StringComparison.Ordinal);
        Assert.Contains("64 deep", Refusal(new string('[', 1_000_000)), StringComparison.Ordinal);
        Assert.Contains("tokenizer.json is an array", Refusal("[]"), StringComparison.Ordinal);
        Assert.Contains("UTF-8", Refusal([0xFF, 0xFE, (byte)'{', 0]), StringComparison.Ordinal);
        Assert.Contains("Duplicate", Refusal("{\"model\":1,\"model\":2}"), StringComparison.Ordinal);
        string sound = Sound().ToJsonString();
        Assert.Contains("Duplicate", Refusal(sound.Replace("\"ab\":", "\"a\":", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.Contains("not Unicode", Refusal(sound.Replace("\"a b\"", "\"a \\ud800\"", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.Contains("not Unicode", Refusal(sound.Replace("\"ab\":", "\"\\udc00\":", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_files_are_named()
    {
        string missing = Path.Combine(folder.Path, "tokenizer.json");
        Assert.Contains(missing, Assert.Throws<CheckpointException>(() => Tokenizer.Load(missing)).Message, StringComparison.Ordinal);
        Assert.Throws<CheckpointException>(() => Tokenizer.Load(folder.Path));
        Assert.Throws<CheckpointException>(() => Tokenizer.Load(""));
    }

    [Fact]
    public void A_huge_file_is_refused_unread()
    {
        string path = folder.Write("tokenizer.json", "");
        using (FileStream file = File.OpenWrite(path)) file.SetLength(1L << 34);
        Assert.Contains("more than", Assert.Throws<CheckpointException>(() => Tokenizer.Load(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Any_damage_loads_or_is_refused_with_words()
    {
        byte[] sound = Encoding.UTF8.GetBytes(Sound().ToJsonString());
        Gen.Select(Gen.Int[0, sound.Length - 1], Gen.Byte, Gen.Int[0, 8]).Array[1, 4].Sample(damages =>
        {
            List<byte> bytes = [.. sound];
            foreach ((int at, byte value, int cut) in damages)
            {
                int index = Math.Min(at, bytes.Count - 1);
                if (cut == 0) bytes[index] = value;
                else bytes.RemoveRange(index, Math.Min(cut, bytes.Count - index));
            }
            string path = folder.Write($"{Guid.NewGuid()}.json", [.. bytes]);
            try { Tokenizer.Load(path).Encode(" abé<bos>\n"); }
            catch (CheckpointException) { }
        });
    }
}
