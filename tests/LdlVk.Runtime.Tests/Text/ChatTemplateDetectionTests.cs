using System.Text.Json;
using System.Text.Json.Nodes;
using LdlVk.Runtime.Text;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Text;

public sealed class ChatTemplateDetectionTests : IDisposable
{
    private static readonly string Gemma2 =
        JsonDocument.Parse(File.ReadAllText(Repository.Path("models", "ldl-mini", "tokenizer_config.json"))).RootElement.Text("chat_template");

    private readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    private string Config(JsonNode? template, string bos = "<bos>") =>
        folder.Write("tokenizer_config.json", new JsonObject { ["bos_token"] = bos, ["chat_template"] = template }.ToJsonString());

    private static string Refusal(string config) => Assert.Throws<CheckpointException>(() => ChatTemplate.Detect(config)).Message;

    [Fact]
    public void The_embedded_models_template_is_known()
    {
        string config = Repository.Path("models", "ldl-mini", "tokenizer_config.json");
        Assert.Equal(new DetectedChatTemplate(ChatTemplate.Gemma2, config, null, null), ChatTemplate.Detect(config));
    }

    [Fact]
    public void Without_a_template_Gemma2_is_assumed_and_said_so()
    {
        foreach (string? config in (string?[])[null, Path.Combine(folder.Path, "tokenizer_config.json"), Config(null)])
        {
            DetectedChatTemplate detected = ChatTemplate.Detect(config);
            Assert.Same(ChatTemplate.Gemma2, detected.Template);
            Assert.Null(detected.Source);
            Assert.Contains("Gemma-2", detected.Note!.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_list_has_a_default()
    {
        JsonArray named(string name) => [new JsonObject { ["name"] = "tools", ["template"] = "x" }, new JsonObject { ["name"] = name, ["template"] = Gemma2 }];
        Assert.Null(ChatTemplate.Detect(Config(named("default"))).Note);
        Assert.Contains("no template named \"default\"", Refusal(Config(named("other"))), StringComparison.Ordinal);
    }

    [Fact]
    public void A_template_file_beside_the_config_takes_precedence()
    {
        string config = Config("something else"), jinja = folder.Write("chat_template.jinja", Gemma2 + "\n");
        Assert.Equal(jinja, ChatTemplate.Detect(config).Source);
        folder.Write("chat_template.jinja", "\uFEFF" + Gemma2);
        Assert.Equal(jinja, ChatTemplate.Detect(config).Source);
        File.Delete(config);
        Assert.Equal(jinja, ChatTemplate.Detect(config).Source);
        folder.Write("chat_template.jinja", "something else");
        Assert.Contains(jinja, Refusal(Config(Gemma2)), StringComparison.Ordinal);
        folder.Write("chat_template.jinja", "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}");
        Assert.Equal("<bos>x", ChatTemplate.Detect(Config(Gemma2)).Template.Render([new("user", "x")]));
    }

    [Fact]
    public void White_space_that_prints_nothing_makes_no_difference()
    {
        foreach (string same in (string[])
        [
            Gemma2.Replace("%}{%", "%}\n    {%", StringComparison.Ordinal),
            Gemma2.Replace("%}{%", "%}\r\n{%", StringComparison.Ordinal),
            Gemma2.Replace("%}{%", "%}  \n\n  {%-", StringComparison.Ordinal),
            Gemma2.Replace("{% ", "{%-   ", StringComparison.Ordinal).Replace(" %}", "\n-%}\n\n", StringComparison.Ordinal),
            Gemma2.Replace("{{'<", "{{ '<", StringComparison.Ordinal).Replace(" | ", "|", StringComparison.Ordinal),
            Gemma2.Replace("\\n", "\n", StringComparison.Ordinal), // in a literal, the escape and the character are one
            Gemma2.Replace("{% for", "{# turns #}\n{% for", StringComparison.Ordinal),
        ])
            Assert.Null(ChatTemplate.Detect(Config(same)).Note);
    }

    [Fact]
    public void Templates_that_are_no_template_are_refused_with_the_way_out()
    {
        foreach (string other in (string[])
        [
            "", " ", "something else", "{{", "{%", "{% '", "{{ 'a\\", "{# ", "{%-%}", "{{}}", "{% include 'x' %}", "{{ messages | length }}",
            "{{ messages[0].content }}", // the answer is left out
        ])
        {
            string message = Refusal(Config(other));
            Assert.Contains("tokenizer_config.json", message, StringComparison.Ordinal);
            Assert.Contains("ChatTemplate = gemma2", message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Another_template_is_run_as_it_is()
    {
        Message[] messages = [new("user", " Hi "), new("assistant", "Hello.")];
        (string Source, string Text)[] others =
        [
            (Gemma2 + " ", "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nHello.<end_of_turn>\n "),
            (Gemma2.Replace("'model'", "'assistant'", StringComparison.Ordinal),
                "<bos><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>assistant\nHello.<end_of_turn>\n"),
            (Gemma2.Replace(" | trim", "", StringComparison.Ordinal),
                "<bos><start_of_turn>user\n Hi <end_of_turn>\n<start_of_turn>model\nHello.<end_of_turn>\n"),
            (Gemma2.Replace("bos_token }}{%", "bos_token }}\n{%", StringComparison.Ordinal), // prints the newline
                "<bos>\n<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nHello.<end_of_turn>\n"),
            ("{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}", "user:  Hi assistant: Hello."),
        ];
        foreach ((string source, string text) in others)
        {
            DetectedChatTemplate found = ChatTemplate.Detect(Config(source));
            Assert.StartsWith("jinja-", found.Template.Name, StringComparison.Ordinal);
            Assert.Null(found.Note);
            Assert.Equal(text, found.Template.Render(messages));
        }
    }

    [Fact]
    public void A_template_that_prints_the_date_gets_the_same_every_day()
    {
        const string dated = "{{ strftime_now('%d %b %Y') }} {% for m in messages %}{{ m.content }}{% endfor %}";
        DetectedChatTemplate found = ChatTemplate.Detect(Config(dated));
        Assert.Equal("26 Jul 2024 x", found.Template.Render([new("user", "x")]));
        Assert.Equal("2024-07-26", found.Date);
        Assert.Contains("TemplateDate = YYYY-MM-DD", found.Note!.ToString(), StringComparison.Ordinal);

        found = ChatTemplate.Detect(Config(dated), date: new DateTime(2025, 1, 5));
        Assert.Equal("05 Jan 2025 x", found.Template.Render([new("user", "x")]));
        Assert.Equal("2025-01-05", found.Date);
        Assert.Null(found.Note);
        Assert.Throws<UsageException>(() => ChatTemplate.Detect(Config(Gemma2), date: new DateTime(2025, 1, 5)));
    }

    [Fact]
    public void A_template_without_a_system_role_refuses_a_system_message()
    {
        foreach (string source in (string[])
        [
            "{% for m in messages %}{% if m.role != 'system' %}{{ m.content }}{% endif %}{% endfor %}", // drops it without a word
            "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}{% for m in messages %}{{ m.content }}{% endfor %}",
        ])
        {
            ChatTemplate template = ChatTemplate.Detect(Config(source)).Template;
            Assert.False(template.HasSystemRole);
            Assert.Equal("xy", template.Render([new("user", "x"), new("assistant", "y")]));
            InputException refusal = Assert.Throws<InputException>(() => template.Render([new("system", "s"), new("user", "x")]));
            Assert.Contains("no system role", refusal.Message, StringComparison.Ordinal);
        }
    }

    /// <summary>The interpreter and the hand-written templates are two implementations of one thing.</summary>
    [Fact]
    public void The_known_templates_are_the_same_when_they_are_run()
    {
        string llama31 = File.ReadAllText(Repository.Path("tests", "data", "tokenizer", "llama3.1-chat-template.jinja"));
        (ChatTemplate Known, string Source, string Bos)[] known =
        [
            (ChatTemplate.Gemma2, Gemma2, "<bos>"),
            (ChatTemplate.Gemma2WithoutBos, Gemma2.Replace("{{ bos_token }}", "", StringComparison.Ordinal), "<bos>"),
            (ChatTemplate.Llama31, llama31, "<|begin_of_text|>"),
        ];
        Message[][] conversations = [.. Goldens.Lines("tests", "data", "tokenizer", "chat-template-goldens.jsonl")
            .Concat(Goldens.Lines("tests", "data", "tokenizer", "gemma2-chat-goldens.jsonl")).Select(line => line.Messages())
            .Where(messages => !messages.Any(m => m.Role is "tool" or "ipython"))]; // the hand-written Llama 3.1 has no tools
        foreach ((ChatTemplate template, string source, string bos) in known)
        {
            JinjaChatTemplate run = new(source, new Dictionary<string, string> { ["bos_token"] = bos }, ChatTemplate.DefaultDate);
            Assert.Equal(template.BeginsWithBos, run.BeginsWithBos);
            Assert.Equal(template.HasSystemRole, run.HasSystemRole);
            Assert.Equal(template.TurnEnd, run.TurnEnd);
            int texts = 0;
            foreach (Message[] messages in conversations)
            {
                foreach (bool prompt in (bool[])[false, true])
                {
                    string? wanted = Text(template, messages, prompt), got = Text(run, messages, prompt);
                    if (wanted is not null) texts++;
                    Assert.Equal(wanted, got);
                }
            }

            Assert.True(texts > 50);
        }

        static string? Text(ChatTemplate template, Message[] messages, bool prompt)
        {
            try
            {
                return template.Render(messages, prompt);
            }
            catch (InputException)
            {
                return null;
            }
        }
    }

    [Fact]
    public void Another_bos_token_is_another_template()
    {
        Assert.Contains("\"<s>\"", Refusal(Config(Gemma2, "<s>")), StringComparison.Ordinal);
        string config = folder.Write("tokenizer_config.json", """{"bos_token":{"content":"<bos>"}}""");
        Assert.NotNull(ChatTemplate.Detect(config).Note);
    }

    [Theory]
    [InlineData("", "JSON")]
    [InlineData("[]", "tokenizer_config.json is an array")]
    [InlineData("""{"chat_template":7}""", "chat_template is 7, not a string")]
    [InlineData("""{"chat_template":["x"]}""", "chat_template[0] is \"x\", not an object")]
    [InlineData("""{"chat_template":[{"name":"default"}]}""", "chat_template[0].template is missing")]
    [InlineData("""{"chat_template":"\ud800"}""", "not Unicode")]
    [InlineData("""{"bos_token":true}""", "bos_token is true, not a string")]
    public void Damaged_configs_are_refused(string json, string words)
    {
        string message = Refusal(folder.Write("tokenizer_config.json", json));
        Assert.Contains("tokenizer_config.json", message, StringComparison.Ordinal);
        Assert.Contains(words, message, StringComparison.Ordinal);
    }

    [Fact]
    public void Damaged_template_files_are_refused()
    {
        folder.Write("chat_template.jinja", [0xC3]);
        Assert.Contains("UTF-8", Refusal(Config(Gemma2)), StringComparison.Ordinal);
    }
}
