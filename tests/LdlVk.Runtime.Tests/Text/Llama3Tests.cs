using System.Text.Json;
using System.Text.Json.Nodes;
using LdlVk.Runtime.Text;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Text;

/// <summary>Llama 3.1's tokenizer against the Rust library's ids, and all chat templates against what a Jinja interpreter makes of them.</summary>
public sealed class Llama3Tests : IDisposable
{
    private readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void It_gives_the_reference_ids()
    {
        Tokenizer tokenizer = Llama3();
        List<JsonElement> lines = Goldens.Lines("tests", "data", "tokenizer", "llama3-tokenizer-goldens.jsonl");
        Assert.Equal(2000, lines.Count);
        Assert.All(lines, line => Assert.Equal(line.Ids("ids"), tokenizer.Encode(line.Text("text"))));
        Assert.Equal((128_256, 128_000), (tokenizer.VocabularySize, tokenizer.Bos));
        Assert.Same(ChatTemplate.Llama31, tokenizer.UsualTemplate);
    }

    /// <summary>A long word costs no more than its length, and no cache changes an id.</summary>
    [Fact]
    public void Words_of_any_length_are_encoded()
    {
        Tokenizer tokenizer = Llama3(), uncached = Tokenizer.Load(FetchedTokenizer.Llama3.File.Path!, cacheWords: false);
        foreach (string unit in new[] { "a", " ", "\n", "9", "!", "é", "😀", "'s" })
        {
            string text = string.Concat(Enumerable.Repeat(unit, 50_000));
            int[] ids = tokenizer.Encode(text);
            Assert.Equal(ids, uncached.Encode(text));
            Assert.NotEmpty(ids);
        }
    }

    [Fact]
    public void Templates_render_as_Jinja_renders_them()
    {
        List<JsonElement> lines = Goldens.Lines("tests", "data", "tokenizer", "chat-template-goldens.jsonl");
        Assert.Equal(ChatTemplate.All.Select(t => t.Name).Order(StringComparer.Ordinal), lines.Select(l => l.Text("template")).Distinct().Order(StringComparer.Ordinal));
        Assert.All(lines, line =>
        {
            ChatTemplate template = ChatTemplate.All.Single(t => t.Name == line.Text("template"));
            Message[] messages = line.Messages();
            bool prompt = line.GetProperty("add_generation_prompt").GetBoolean();
            // What tools answer is written as JSON there, and refused here.
            if (line.TryGetProperty("error", out _) || (template == ChatTemplate.Llama31 && messages.Any(m => m.Role == "tool")))
                Assert.Throws<InputException>(() => template.Render(messages, prompt));
            else
                Assert.Equal(line.Text("text"), template.Render(messages, prompt));
        });
    }

    [Fact]
    public void Conversations_give_the_reference_ids()
    {
        Tokenizer tokenizer = Llama3();
        JsonElement[] lines = [.. Goldens.Lines("tests", "data", "tokenizer", "chat-template-goldens.jsonl").Where(line => line.TryGetProperty("ids", out _))];
        Assert.Equal(40, lines.Length);
        Assert.All(lines, line => Assert.Equal(line.Ids("ids"), tokenizer.Encode(line.Text("text"))));
    }

    [Fact]
    public void Templates_are_recognized()
    {
        string gemma = JsonDocument.Parse(File.ReadAllText(Repository.Path("models", "ldl-mini", "tokenizer_config.json"))).RootElement.Text("chat_template");
        string dated = File.ReadAllText(Repository.Path("tests", "data", "tokenizer", "llama3.1-chat-template.jinja"));
        Assert.Same(ChatTemplate.Gemma2, Detect(gemma, "<bos>"));
        Assert.Same(ChatTemplate.Gemma2WithoutBos, Detect(gemma.Replace("{{ bos_token }}", "", StringComparison.Ordinal), "<bos>"));
        Assert.Same(ChatTemplate.Llama31, Detect(dated, "<|begin_of_text|>"));
        const string Llama3 = "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}"
            + "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}";
        Assert.Same(ChatTemplate.Llama3, Detect(Llama3, "<|begin_of_text|>"));
        ChatTemplate other = Detect(dated.Replace("26 Jul 2024", "27 Jul 2024", StringComparison.Ordinal), "<|begin_of_text|>");
        Assert.Contains("27 Jul 2024", other.Render([new("user", "x")]), StringComparison.Ordinal);
        Assert.Contains("<|begin_of_text|>", Assert.Throws<CheckpointException>(() => Detect(dated, "<bos>")).Message, StringComparison.Ordinal);
        Assert.Same(ChatTemplate.Llama31, ChatTemplate.Detect(null, ChatTemplate.Llama31).Template);
    }

    [Fact]
    public void A_byte_level_file_of_another_model_is_refused_by_the_field()
    {
        JsonObject file = JsonNode.Parse(File.ReadAllText(Llama3Path()))!.AsObject();
        file["model"]!["ignore_merges"] = "yes";
        Says("model.ignore_merges");
        file["model"]!["ignore_merges"] = true;
        file["model"]!["vocab"]!.AsObject().Remove("Ġ");
        Says("vocab");

        void Says(string word) =>
            Assert.Contains(word, Assert.Throws<CheckpointException>(() => Tokenizer.Load(folder.Write("tokenizer.json", file.ToJsonString()))).Message, StringComparison.Ordinal);
    }

    private ChatTemplate Detect(string template, string bos) =>
        ChatTemplate.Detect(folder.Write("tokenizer_config.json", new JsonObject { ["bos_token"] = bos, ["chat_template"] = template }.ToJsonString())).Template;

    private static string Llama3Path()
    {
        Assert.SkipWhen(FetchedTokenizer.Llama3.File.Path is null, FetchedTokenizer.Llama3.File.WhyNot ?? "");
        return FetchedTokenizer.Llama3.File.Path!;
    }

    private static Tokenizer Llama3()
    {
        Llama3Path();
        return FetchedTokenizer.Llama3.Instance;
    }
}
