using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>Flags that would change nothing for the model at hand are refused: a user who gives one expects another score.</summary>
public sealed class UselessFlagTests : IDisposable
{
    private static readonly string Line = """{"input_ids":[1,2,3],"step_positions":[1,2]}""";

    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    [Theory]
    [InlineData("score")]
    [InlineData("rank")]
    [InlineData("eval")]
    [InlineData("serve")]
    [InlineData("score", "--dry-run")]
    [InlineData("score", "--resume")]
    public async Task Aggregations_and_separators_of_steps_are_refused_by_a_model_without_steps(string command, params string[] more)
    {
        (await RunAsync(command, "llama_linear", [.. more, "--aggregate", "min"])).Fails(2, "--aggregate min would change nothing", "whole texts", "--head steps");
        (await RunAsync(command, "llama_linear", [.. more, "--step-separator", "\\n"])).Fails(2, "--step-separator would change nothing");
    }

    [Fact]
    public async Task The_default_aggregation_is_no_aggregation() =>
        Assert.Equal(0, (await RunAsync("score", "llama_linear", ["--aggregate", "auto"], """{"input_ids":[1,2,3]}""")).Code);

    [Theory]
    [InlineData("--chat-template gemma2", "--chat-template", "gemma2")]
    [InlineData("--system merge", "--system", "merge")]
    [InlineData("--date", "--date", "2025-01-01")]
    public async Task Templates_are_refused_by_a_model_whose_code_has_none(string named, params string[] flags)
    {
        (await RunAsync("score", "skywork_o1_prm", flags)).Fails(2, $"{named} would change nothing", "without a chat template");
        Outcome render = await Cli.RunAsync(["render", "--model", Folder("skywork_o1_prm"), "--input", _temp.Write("i.jsonl", Line), .. flags]);
        Assert.Equal(2, render.Code);
    }

    [Theory]
    [InlineData("--chat-template gemma2", "--chat-template", "gemma2")]
    [InlineData("--chat-template none", "--chat-template", "none")]
    [InlineData("--system merge", "--system", "merge")]
    [InlineData("--date", "--date", "2025-01-01")]
    public async Task Templates_are_refused_where_there_is_no_tokenizer(string named, params string[] flags)
    {
        (await RunAsync("score", "llama_linear", flags)).Fails(2, $"{named} would change nothing", "has no tokenizer");
        (await RunAsync("score", "llama_linear", [.. flags, "--dry-run"])).Fails(2, $"{named} would change nothing", "has no tokenizer");
        (await RunAsync("score", "qwen2_prm", flags)).Fails(2, $"{named} would change nothing", "has no tokenizer");
    }

    [Fact]
    public async Task A_separator_is_refused_where_no_text_has_steps() =>
        (await RunAsync("score", "qwen2_linear", ["--head", "steps", "--step-separator", "x"])).Fails(2, "--step-separator would change nothing", "token ids alone");

    [Theory]
    [InlineData("bench", "--head", "score")]
    [InlineData("tune", "--head", "score")]
    [InlineData("tune", "--adapter", "x")]
    public async Task What_is_about_a_model_needs_one(string command, string flag, string value) =>
        (await Cli.RunAsync(command, flag, value)).Fails(2, $"{flag} is about a model: give --model too");

    [Fact]
    public async Task Tune_and_pull_take_a_head()
    {
        // Of two heads, one has to be chosen; the other commands could before.
        string model = TwoHeads();
        (await Cli.RunAsync("tune", "--model", model, "--device", "cpu")).Fails(2, "more than one reward head", "--head score or v_head");
        Outcome tuned = await Cli.RunAsync("tune", "--model", model, "--device", "cpu", "--head", "v_head");
        Assert.Equal((0, ""), (tuned.Code, tuned.Error));

        using FakeHub hub = new FakeHub().With(model);
        (await PullAsync("--head", "v_head")).Fails(2, "--head v_head chooses what a conversion keeps", "without --weights");
        Outcome pulled = await PullAsync("--weights", "fp16", "--head", "v_head", "--quiet");
        Assert.Equal((0, ""), (pulled.Code, pulled.Error));
        Assert.Contains("Starling", (await Cli.RunAsync("inspect", _temp["pulled"])).Out, StringComparison.Ordinal);
        (await PullAsync("--weights", "fp16", "--head", "score")).Fails(2, "holds a conversion with the head v_head, and --head score is given now");

        Task<Outcome> PullAsync(params string[] flags) => Cli.RunAsync(["pull", "o/m", _temp["pulled"], "--endpoint", hub.Address, .. flags]);
    }

    [Fact]
    public async Task Conversions_with_two_heads_are_not_taken_for_each_other()
    {
        string model = TwoHeads();
        Assert.Equal(0, (await Cli.RunAsync("convert", model, _temp["c"], "--weights", "fp16", "--head", "score")).Code);
        (await Cli.RunAsync("convert", model, _temp["c"], "--weights", "fp16", "--head", "v_head")).Fails(2, "holds the conversion of another model");
    }

    [Fact]
    public async Task A_server_has_no_timeline() =>
        (await RunAsync("serve", "llama_linear", ["--trace-events", _temp["t.json"]])).Fails(2, "There is no flag --trace-events of ldlvk serve");

    [Fact]
    public async Task Rendered_texts_have_what_marks_steps()
    {
        const string Line = """{"prompt":"q","steps":["a","b"]}""", Text = """{"prompt":"q","response":"a\n\nb\n"}""";
        string folder = WithTokenizer("skywork_o1_prm");
        Outcome listed = await Cli.RunWithInputAsync($"{Line}\n{Text}", "render", "--model", folder, "--input", "-");
        Assert.Equal(["q\na\nb\n", "q\na\n\nb\n\n"], listed.Lines.Select(line => line.GetProperty("text").GetString()!.Replace("<bos>", "", StringComparison.Ordinal)));
        // Without the weights nothing says how steps are marked.
        foreach (string path in Directory.GetFiles(folder, "*.safetensors")) File.Delete(path);
        Outcome unknown = await Cli.RunWithInputAsync(Line, "render", "--model", folder, "--input", "-");
        Assert.Equal(3, unknown.Code);
        Assert.Contains("what marks them depends on the model's weights", unknown.ErrorOf(0), StringComparison.Ordinal);
    }

    private Task<Outcome> RunAsync(string command, string name, string[] flags, string? line = null)
    {
        string[] input = command == "serve" ? [] : ["--input", _temp.Write("input.jsonl", line ?? Line)];
        string[] output = flags.Contains("--resume") ? ["--output", _temp["out.jsonl"]] : [];
        return Cli.RunAsync([command, "--model", Folder(name), "--device", "cpu", .. input, .. output, .. flags]);
    }

    private static string Folder(string name) => Path.Combine(FamilyGoldens.Folder, name);

    private string TwoHeads()
    {
        string from = Folder("llama_linear"), model = _temp["two-heads"];
        OtherHead.Tensor score = OtherHead.Read(from, "score.weight");
        OtherHead.Write(model, from, [score, score with { Name = "v_head.weight", Values = [.. score.Values.Reverse()] }]);
        // As a hub has them.
        foreach (string path in Directory.GetFiles(model, "*.safetensors")) File.Move(path, Path.Combine(model, "model-" + Path.GetFileName(path)));
        string index = Path.Combine(model, "model.safetensors.index.json");
        File.WriteAllText(index, File.ReadAllText(index).Replace("backbone-", "model-backbone-", StringComparison.Ordinal).Replace("\"head.", "\"model-head.", StringComparison.Ordinal));
        return model;
    }

    private string WithTokenizer(string name)
    {
        string folder = _temp["model"];
        Directory.CreateDirectory(folder);
        foreach (string path in Directory.GetFiles(Folder(name))) File.Copy(path, Path.Combine(folder, Path.GetFileName(path)));
        foreach (string file in (string[])["tokenizer.json", "tokenizer_config.json"]) File.Copy(Path.Combine(Cli.Mini, file), Path.Combine(folder, file));
        return folder;
    }
}
