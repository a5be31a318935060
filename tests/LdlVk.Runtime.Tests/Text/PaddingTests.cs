using LdlVk.Runtime.Text;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Text;

/// <summary>What trainers put around a templated text comes off, and what the template puts there stays.</summary>
public sealed class PaddingTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_Gemma_text_is_the_same_with_any_padding() =>
        Check(Goldens.Mini, ChatTemplate.Gemma2, "{}", ["<pad>", "<eos>"]);

    [Fact]
    public void A_Llama_text_is_the_same_with_any_padding()
    {
        string path = FetchedTokenizer.Llama3.File.Path ?? "";
        if (path.Length == 0) Assert.Skip("needs Llama 3.1's tokenizer (eng/fetch-tokenizer)");
        Tokenizer tokenizer = Tokenizer.Load(path);
        // The token that ends a turn is eos or pad in checkpoints that people trained.
        foreach (string config in (string[])["""{"pad_token":"<|eot_id|>","eos_token":"<|eot_id|>"}""", """{"eos_token":{"content":"<|eot_id|>"},"pad_token":null}"""])
        {
            Check(tokenizer, ChatTemplate.Llama3, config, ["<|eot_id|>", "<|end_of_text|>", "<|finetune_right_pad_id|>"]);
            Check(tokenizer, ChatTemplate.Llama31, config, ["<|eot_id|>", "<|end_of_text|>", "<|finetune_right_pad_id|>"]);
        }

        Check(tokenizer, ChatTemplate.Llama3, """{"pad_token":"[PAD]"}""", ["<|end_of_text|>", "<|finetune_right_pad_id|>"]);
    }

    [Fact]
    public void Nothing_else_is_changed()
    {
        Padding padding = new(Goldens.Mini, ChatTemplate.Gemma2, _folder["none.json"]);
        Assert.Equal("<bos>text without a template", padding.Strip("text without a template", addBos: true));
        Assert.Equal("text", padding.Strip("text", addBos: false));
        Assert.Equal("<bos>a<eos>b", padding.Strip("a<eos>b", addBos: true));
        Assert.Equal("<bos>", padding.Strip("", addBos: true));
        Assert.Equal("<bos><pad><eos>", padding.Strip("<pad><eos>", addBos: true));
        Padding withoutBos = new(Goldens.Mini, ChatTemplate.Gemma2WithoutBos, _folder["none.json"]);
        Assert.Equal("<start_of_turn>", withoutBos.Strip("<start_of_turn>", addBos: true));
        Padding joined = new(Goldens.Mini, null, _folder["none.json"]);
        Assert.Equal("<bos>a<end_of_turn>", joined.Strip("a<end_of_turn><eos>", addBos: true));
    }

    private void Check(Tokenizer tokenizer, ChatTemplate template, string config, string[] around)
    {
        Padding padding = new(tokenizer, template, _folder.Write("tokenizer_config.json", config));
        // Llama 3's tokenizer has no token of its own for padding, 3.1's has.
        around = [.. around.Where(token => tokenizer.TryGetId(token, out _))];
        Random random = new(1);
        string bos = template.BosToken;
        for (int run = 0; run < 300; run++)
        {
            string text = template.Render([new Message("user", $"question {run}"), new Message("assistant", run % 3 == 0 ? "" : "answer\n")]);
            string body = text[bos.Length..];
            string left = Some(), right = Some();
            Assert.Equal(text, padding.Strip(left + text + right, addBos: false));
            Assert.Equal(text, padding.Strip(bos + left + bos + body + right, addBos: true));
            Assert.Equal(text, padding.Strip(left + body.TrimEnd('\n') + right, addBos: true));
            Assert.Equal(body, padding.Strip(left + body + right, addBos: false));
        }

        string Some() => string.Concat(Enumerable.Range(0, random.Next(4)).Select(_ => around[random.Next(around.Length)]));
    }
}
