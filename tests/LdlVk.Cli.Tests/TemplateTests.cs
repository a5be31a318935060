using System.Text.Json;
using System.Text.Json.Nodes;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>Chat templates that a model brings, and templates alone: <c>ldlvk render --template</c>.</summary>
public sealed class TemplateTests : IDisposable
{
    private const string Dated = "{{ bos_token }}{{ strftime_now('%d %b %Y') }}\n{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}";

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private Task<Outcome> RenderAsync(string template, string lines, params string[] arguments) => Cli.RunAsync(
        ["render", "--template", _folder.Write("chat.jinja", template), "--input", _folder.Write("in.jsonl", lines), .. arguments]);

    /// <summary>The mini model with another template.</summary>
    private string Model(string template)
    {
        string model = _folder.Path + "/model";
        Directory.CreateDirectory(model);
        foreach (string file in Directory.GetFiles(Cli.Mini)) File.Copy(file, Path.Combine(model, Path.GetFileName(file)), overwrite: true);
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(model, "tokenizer_config.json")))!;
        config["chat_template"] = template;
        File.WriteAllText(Path.Combine(model, "tokenizer_config.json"), config.ToJsonString());
        return model;
    }

    [Fact]
    public async Task A_template_alone_gets_the_line_as_it_is()
    {
        const string template = "{{ bos_token }}{% for m in messages %}[{{ m.role }}|{{ m.name }}|{{ m.content }}]{% endfor %}"
            + "{{ tools[0].name if tools }}{{ thinking }}{% if add_generation_prompt %}>{% endif %}{{ eos_token }}";
        Outcome run = await RenderAsync(
            template,
            """
            {"id":"a","messages":[{"role":"user","content":"x","name":"Ann"},{"role":"tool","content":"y"}],"tools":[{"name":"t"}],"add_generation_prompt":true}
            {"id":"b","messages":[{"role":"user","content":"x"}],"chat_template_kwargs":{"thinking":"no"}}
            {"id":"c","prompt":"p","response":"r"}
            {"id":"d","prompt":"p","chosen":"q","rejected":"r"}
            {"id":"e","input_ids":[1]}
            """,
            "--bos", "<s>", "--eos", "</s>");
        Assert.Equal(3, run.Code);
        Assert.Equal("<s>[user|Ann|x][tool||y]t></s>", run.Lines[0].GetProperty("text").GetString());
        Assert.Equal("<s>[user||x]no</s>", run.Lines[1].GetProperty("text").GetString());
        Assert.Equal("<s>[user||p][assistant||r]</s>", run.Lines[2].GetProperty("text").GetString());
        Assert.Equal(["<s>[user||p][assistant||q]</s>", "<s>[user||p][assistant||r]</s>"], run.Lines[3].GetProperty("texts").EnumerateArray().Select(t => t.GetString()!));
        Assert.Contains("no conversation", run.ErrorOf(4), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_template_refuses_and_fails_with_its_words_and_line()
    {
        Outcome run = await RenderAsync(
            "{% if messages[0].role == 'system' %}\n{{ raise_exception('No system, please') }}{% endif %}\n\n{{ messages[0].content + 1 }}",
            """
            {"messages":[{"role":"system","content":"x"}]}
            {"messages":[{"role":"user","content":"x"}]}
            {"messages":[]}
            """);
        Assert.Equal(3, run.Code);
        Assert.Contains("refuses the conversation: No system, please", run.ErrorOf(0), StringComparison.Ordinal);
        Assert.Contains("Line 4: + stands between a string and an integer", run.ErrorOf(1), StringComparison.Ordinal);
        Assert.Contains("undefined", run.ErrorOf(2), StringComparison.Ordinal);

        Outcome broken = await RenderAsync("a\n{% if %}", "{}");
        Assert.Equal(2, broken.Code);
        Assert.Contains("chat.jinja, line 2: ", broken.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_template_s_date_is_the_same_every_day_or_the_given_one()
    {
        const string line = """{"messages":[{"role":"user","content":"x"}]}""";
        Outcome plain = await RenderAsync(Dated, line);
        Assert.Equal("26 Jul 2024\n<user>x", plain.Lines[0].GetProperty("text").GetString());
        Assert.Contains("2024-07-26; --date sets another", plain.Error, StringComparison.Ordinal);
        Outcome dated = await RenderAsync(Dated, line, "--date", "2025-01-05");
        Assert.Equal("05 Jan 2025\n<user>x", dated.Lines[0].GetProperty("text").GetString());
        Assert.Equal("", dated.Error);
    }

    [Fact]
    public async Task A_model_is_scored_by_the_template_that_it_brings()
    {
        string model = Model(Dated);
        string[] call = ["--prompt", "a", "--response", "b", "--device", "cpu", "--model", model];
        Outcome plain = await Cli.RunAsync(["score", .. call, "--show-text", "1"]);
        Assert.Equal(0, plain.Code);
        Assert.Contains("<bos>26 Jul 2024\n<user>a<assistant>b", plain.Error, StringComparison.Ordinal);
        Assert.Contains("prints today's date", plain.Error, StringComparison.Ordinal);
        Assert.Contains("--date YYYY-MM-DD sets another", plain.Error, StringComparison.Ordinal);
        Outcome dated = await Cli.RunAsync(["score", .. call, "--date", "2025-01-05", "--show-text", "1"]);
        Assert.Contains("<bos>05 Jan 2025\n<user>a<assistant>b", dated.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("prints today's date", dated.Error, StringComparison.Ordinal);
        Assert.NotEqual(plain.Lines[0].GetProperty("score").GetSingle(), dated.Lines[0].GetProperty("score").GetSingle());
        // The text of the template, given with its template, is the same score.
        string text = _folder.Write("text.jsonl", JsonSerializer.Serialize(new { text = "<bos>05 Jan 2025\n<user>a<assistant>b" }));
        Outcome same = await Cli.RunAsync("score", "--model", model, "--device", "cpu", "--input", text);
        Assert.Equal(dated.Lines[0].GetProperty("score").GetSingle(), same.Lines[0].GetProperty("score").GetSingle());
        Assert.Contains("jinja-", (await Cli.RunAsync("inspect", model)).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_is_not_resumed_with_another_date()
    {
        string model = Model(Dated), input = _folder.Write("in.jsonl", """{"prompt":"a","response":"b"}"""), output = _folder.Path + "/out.jsonl";
        string[] call = ["score", "--model", model, "--device", "cpu", "--input", input, "--output", output, "--resume"];
        Assert.Equal(0, (await Cli.RunAsync([.. call, "--date", "2025-01-05"])).Code);
        Assert.Equal(0, (await Cli.RunAsync([.. call, "--date", "2025-01-05"])).Code);
        Outcome other = await Cli.RunAsync(call);
        Assert.Equal(2, other.Code);
        Assert.Contains("2025-01-05", other.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--model DIR", "render", "--prompt", "a", "--response", "b")]
    [InlineData("--bos goes with --template", "render", "--model", "MINI", "--prompt", "a", "--response", "b", "--bos", "x")]
    [InlineData("Leave out --model", "render", "--model", "MINI", "--template", "FILE", "--prompt", "a", "--response", "b")]
    [InlineData("--ids goes with --model", "render", "--template", "FILE", "--prompt", "a", "--response", "b", "--ids")]
    [InlineData("--system goes with --model", "render", "--template", "FILE", "--prompt", "a", "--response", "b", "--system", "merge")]
    [InlineData("There is no file /no/such for --template", "render", "--template", "/no/such", "--prompt", "a", "--response", "b")]
    [InlineData("There is no file - for --template", "render", "--template", "-", "--prompt", "a", "--response", "b")]
    [InlineData("is a folder. Give the template's file", "render", "--template", "MINI", "--prompt", "a", "--response", "b")]
    [InlineData("this is no date", "render", "--template", "FILE", "--prompt", "a", "--response", "b", "--date", "tomorrow")]
    [InlineData("prints no date", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--date", "2025-01-05")]
    [InlineData("prints no date", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--date", "2025-01-05", "--chat-template", "llama3")]
    public async Task Flags_that_do_not_go_together_are_refused(string words, params string[] arguments)
    {
        string file = _folder.Write("chat.jinja", Dated);
        Outcome run = await Cli.RunAsync([.. arguments.Select(a => a == "MINI" ? Cli.Mini : a == "FILE" ? file : a)]);
        Assert.Equal((2, ""), (run.Code, run.Out));
        Assert.Contains(words, run.Error, StringComparison.Ordinal);
    }
}
