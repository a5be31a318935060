using System.Text.Json;
using LdlVk.Runtime.Text;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Text;

/// <summary>The reference implementation's texts and ids, exactly.</summary>
[Trait("Duration", "Long")]
public class TokenizerGoldenTests
{
    [Fact]
    public void Gemma2_gives_the_reference_ids()
    {
        Tokenizer tokenizer = Gemma2();
        List<JsonElement> lines = Goldens.Lines("tests", "data", "tokenizer", "gemma2-tokenizer-goldens.jsonl");
        Assert.Equal(294, lines.Count);
        Assert.All(lines, line => Assert.Equal(line.Ids("ids"), tokenizer.Encode(line.Text("text"))));
        Assert.Equal(256_000, tokenizer.VocabularySize);
        Assert.Equal(2, tokenizer.Bos);
    }

    [Fact]
    public void Gemma2_conversations_give_the_reference_text_and_ids_or_its_refusal()
    {
        Tokenizer tokenizer = Gemma2();
        List<JsonElement> lines = Goldens.Lines("tests", "data", "tokenizer", "gemma2-chat-goldens.jsonl");
        Assert.Equal(45, lines.Count);
        Assert.All(lines, line =>
        {
            Message[] messages = line.Messages();
            bool prompt = line.GetProperty("add_generation_prompt").GetBoolean();
            if (line.TryGetProperty("error", out JsonElement error))
            {
                var refusal = Assert.Throws<InputException>(() => ChatTemplate.Gemma2.Encode(tokenizer, messages, prompt));
                string word = error.GetString() switch
                {
                    "System role not supported" => "no system role",
                    "list object has no element 0" => "no messages",
                    _ => "must alternate",
                };
                Assert.Contains(word, refusal.Message, StringComparison.Ordinal);
                return;
            }
            Assert.Equal(line.Text("text"), ChatTemplate.Gemma2.Render(messages, prompt));
            Assert.Equal(line.Ids("ids"), ChatTemplate.Gemma2.Encode(tokenizer, messages, prompt));
        });
    }

    [Fact]
    public void Ldl_mini_conversations_give_the_reference_text_and_ids()
    {
        List<JsonElement> lines = Goldens.Lines("tests", "data", "ldl-mini", "goldens.jsonl");
        Assert.Equal(20, lines.Count);
        Assert.All(lines, line =>
        {
            Assert.Equal(line.Text("text"), ChatTemplate.Gemma2.Render(line.Messages()));
            Assert.Equal(line.Ids("token_ids"), ChatTemplate.Gemma2.Encode(Goldens.Mini, line.Messages()));
        });
        Assert.Equal(4096, Goldens.Mini.VocabularySize);
    }

    [Theory]
    [InlineData("qwen3", 151_669, null)]
    [InlineData("llama2", 32_000, 1)]
    [InlineData("gemma3", 262_145, 2)]
    public void Other_families_give_the_reference_ids(string model, int size, int? bos)
    {
        FetchedTokenizer fetched = FetchedTokenizer.All[model];
        Assert.SkipWhen(fetched.File.Path is null, fetched.File.WhyNot ?? "");
        List<JsonElement> lines = Goldens.Lines("tests", "data", "tokenizer", $"{model}-tokenizer-goldens.jsonl");
        Assert.Equal(1600, lines.Count);
        Assert.All(lines, line => Assert.Equal(line.Ids("ids"), fetched.Instance.Encode(line.Text("text"))));
        Assert.Equal((size, bos), (fetched.Instance.VocabularySize, fetched.Instance.Bos));
    }

    /// <summary>Gemma-2's tokenizer, or a skipped test where it cannot be fetched.</summary>
    internal static Tokenizer Gemma2()
    {
        Assert.SkipWhen(FetchedTokenizer.Gemma2.File.Path is null, FetchedTokenizer.Gemma2.File.WhyNot ?? "");
        return FetchedTokenizer.Gemma2.Instance;
    }
}
