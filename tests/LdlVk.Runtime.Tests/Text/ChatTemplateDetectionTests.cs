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
        Assert.Equal(new DetectedChatTemplate(ChatTemplate.Gemma2, config, null), ChatTemplate.Detect(config));
    }

    [Fact]
    public void Without_a_template_Gemma2_is_assumed_and_said_so()
    {
        foreach (string? config in (string?[])[null, Path.Combine(folder.Path, "tokenizer_config.json"), Config(null)])
        {
            DetectedChatTemplate detected = ChatTemplate.Detect(config);
            Assert.Same(ChatTemplate.Gemma2, detected.Template);
            Assert.Null(detected.Source);
            Assert.Contains("Gemma-2", detected.Note, StringComparison.Ordinal);
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
    public void Other_templates_are_refused_with_the_way_out()
    {
        foreach (string other in (string[])
        [
            "", " ", "{{", "{%", "{% '", "{{ 'a\\", "{# ", "{%-%}", "{{}}",
            Gemma2 + " ",
            Gemma2.Replace("'model'", "'assistant'", StringComparison.Ordinal),
            Gemma2.Replace(" | trim", "", StringComparison.Ordinal),
            Gemma2.Replace("<end_of_turn>\\n", "<end_of_turn>\\n\\n", StringComparison.Ordinal),
            Gemma2.Replace("<end_of_turn>\\n", "<end_of_turn> ", StringComparison.Ordinal),
            Gemma2.Replace("bos_token }}{%", "bos_token }}\n{%", StringComparison.Ordinal), // prints the newline
            Gemma2.Replace("endif %}{{", "endif %} {{", StringComparison.Ordinal), // prints the space
        ])
        {
            string message = Refusal(Config(other));
            Assert.Contains("tokenizer_config.json", message, StringComparison.Ordinal);
            Assert.Contains("ChatTemplate = gemma2", message, StringComparison.Ordinal);
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
