using System.Text.Json.Nodes;
using LdlVk.Runtime.Text;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Text;

/// <summary>A tokenizer as C# users know it, and what it does with special tokens and expressions that explode.</summary>
public sealed class PublicTokenizerTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void It_is_one_of_Microsoft_ML_Tokenizers()
    {
        Microsoft.ML.Tokenizers.Tokenizer tokenizer = Goldens.Mini;
        const string Text = "The quick brown fox, <bos>é 漢字";
        int[] ids = Goldens.Mini.Encode(Text);
        Assert.Equal(ids, tokenizer.EncodeToIds(Text));
        Assert.Equal(ids, tokenizer.EncodeToIds(Text.AsSpan()));
        Assert.Equal(ids.Length, tokenizer.CountTokens(Text));
        Assert.Equal(Text, tokenizer.Decode(ids));
        for (int max = 0; max <= ids.Length; max++)
        {
            int index = tokenizer.GetIndexByTokenCount(Text, max, out _, out int count);
            Assert.Equal(max, count);
            Assert.Equal(ids[..max], tokenizer.EncodeToIds(Text, max, out _, out int consumed));
            Assert.Equal(index, consumed);
            int fromEnd = tokenizer.GetIndexByTokenCountFromEnd(Text, max, out _, out count);
            Assert.Equal(max, count);
            Assert.InRange(fromEnd, 0, Text.Length);
        }

        var tokens = tokenizer.EncodeToTokens(Text, out _);
        Assert.Equal(Text, string.Concat(tokens.Where((t, i) => i == 0 || !t.Offset.Equals(tokens[i - 1].Offset)).Select(t => Text[t.Offset])));
    }

    [Fact]
    public void Typed_special_tokens_stay_text_with_every_flag()
    {
        JsonObject file = JsonNode.Parse(File.ReadAllText(Goldens.MiniPath))!.AsObject();
        foreach ((string content, int id, string[] flags) in (IEnumerable<(string, int, string[])>)
            [("<left>", 5000, ["lstrip", "special"]), ("<right>", 5001, ["rstrip", "special"]), ("<n o>", 5002, ["normalized", "special"]), ("<plain>", 5003, ["normalized"])])
        {
            JsonObject token = new() { ["id"] = id, ["content"] = content };
            foreach (string flag in flags) token[flag] = true;
            file["added_tokens"]!.AsArray().Add(token);
        }

        Tokenizer tokenizer = Tokenizer.Load(_folder.Write("tokenizer.json", file.ToJsonString()));
        const string Text = "a <left> b <right> c <n o> d <plain>";
        int[] special = [5000, 5001, 5002];
        Assert.Equal(special, tokenizer.Encode(Text).Where(special.Contains));
        int[] plain = tokenizer.Encode(Text, [0..Text.Length]);
        Assert.DoesNotContain(plain, id => special.Contains(id));
        Assert.Contains(5003, plain);
        Assert.Equal(Text, tokenizer.Decode(plain));
        // Only the first is typed; the template's tokens keep their flags.
        int[] mixed = tokenizer.Encode(Text, [0..9]);
        Assert.Equal([5001, 5002], mixed.Where(special.Contains));
    }

    [Theory]
    [InlineData("(a|aa)+b")]
    [InlineData("(?:a|a)*c")]
    [InlineData("a*a*a*a*a*b")]
    [InlineData("(?:a?){500}b")]
    public void An_expression_that_explodes_is_stopped_by_name(string expression)
    {
        JsonObject file = JsonNode.Parse(File.ReadAllText(Goldens.MiniPath))!.AsObject();
        file["pre_tokenizer"] = new JsonObject
        {
            ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = expression }, ["behavior"] = "Isolated", ["invert"] = false,
        };
        Tokenizer tokenizer = Tokenizer.Load(_folder.Write("tokenizer.json", file.ToJsonString()));
        InputException error = Assert.Throws<InputException>(() => tokenizer.Encode(new string('a', 20_000)));
        Assert.Contains(expression, error.Message, StringComparison.Ordinal);
    }
}
