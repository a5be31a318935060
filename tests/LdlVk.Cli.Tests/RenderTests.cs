using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary><c>ldlvk render</c> and what else shows the text that is scored. The texts and ids are the reference's.</summary>
public class RenderTests
{
    private const string Prompt = "Define \\\"sea\\\".", System = """{"system":"Be brief.","prompt":"a","response":"b"}""";

    private static JsonElement[] Goldens { get; } = [.. File.ReadLines(Repository.Path("tests", "data", "ldl-mini", "goldens.jsonl")).Select(Cli.Json)];

    [Fact]
    public async Task Texts_and_ids_are_the_reference_s()
    {
        string input = string.Concat(Goldens.Select(g => $"{{\"id\":{g.GetProperty("name").GetRawText()},\"messages\":{g.GetProperty("messages").GetRawText()}}}\n"));
        Outcome run = await RenderAsync(input, "--ids");
        Assert.Equal((0, Goldens.Length), (run.Code, run.Lines.Length));
        foreach ((JsonElement golden, JsonElement line) in Goldens.Zip(run.Lines))
        {
            Assert.Equal(golden.GetProperty("text").GetString(), line.GetProperty("text").GetString());
            Assert.True(JsonElement.DeepEquals(golden.GetProperty("token_ids"), line.GetProperty("ids")));
            Assert.Equal(golden.GetProperty("token_ids").GetArrayLength() - 1, line.GetProperty("position").GetInt32());
        }
    }

    [Fact]
    public async Task Several_responses_give_several_texts()
    {
        Outcome run = await RenderAsync($$"""{"prompt":"{{Prompt}}","responses":["a","b"]}""", "--ids");
        JsonElement line = Assert.Single(run.Lines);
        Assert.Equal(["a", "b"], line.GetProperty("texts").EnumerateArray().Select(t => t.GetString()!.Split('\n')[3].Split('<')[0]));
        Assert.Equal((2, 2), (line.GetProperty("ids").GetArrayLength(), line.GetProperty("positions").GetArrayLength()));
        Assert.Contains("1 line read as prompts with several responses: prompt, responses[list]", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_system_message_is_refused_or_merged()
    {
        Outcome refused = await RenderAsync(System);
        Assert.Equal(3, refused.Code);
        Assert.Contains("no system role", refused.ErrorOf(0), StringComparison.Ordinal);
        Assert.Contains("--system merge", refused.ErrorOf(0), StringComparison.Ordinal);
        Outcome merged = await RenderAsync(System, "--system", "merge");
        Assert.Contains("user\nBe brief.\n\na<end_of_turn>", merged.Lines[0].GetProperty("text").GetString(), StringComparison.Ordinal);
        Outcome scored = await Cli.ScoreAsync($"{System}\n{{\"prompt\":\"Be brief.\\n\\na\",\"response\":\"b\"}}", "--system", "merge", "--show-text", "1");
        Assert.Equal(scored.Lines[1].GetProperty("score").GetSingle(), scored.Lines[0].GetProperty("score").GetSingle());
        Assert.StartsWith("--- text of 0:\n<bos><start_of_turn>user\nBe brief.\n\na<end_of_turn>\n<start_of_turn>model\nb<end_of_turn>\n", scored.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("text of 1", scored.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_map_names_the_fields_of_score_and_eval()
    {
        const string Line = """{"problem":"a","good":"b","bad":"c"}""";
        Outcome pair = await RenderAsync(Line, "--map", "prompt=problem,chosen=good,rejected=bad");
        Assert.Equal(2, Assert.Single(pair.Lines).GetProperty("texts").GetArrayLength());
        using TempFolder temp = new();
        Outcome eval = await Cli.RunAsync("eval", "--model", Cli.Mini, "--device", "cpu", "--input", temp.Write("pairs.jsonl", Line), "--map", "prompt=problem,chosen=good,rejected=bad");
        Assert.Equal(0, eval.Code);
        Assert.Contains("1 line read as preference pairs: problem, good, bad", eval.Error, StringComparison.Ordinal);
        (await Cli.RunAsync("score", "--model", Cli.Mini, "--prompt", "a", "--response", "b", "--map", "prompt=problem")).Fails(2, "--map names fields of --input");
        (await RenderAsync(Line, "--map", "title=problem")).Fails(2, "--map: \"title\" is no part of an item", "prompt");
    }

    [Fact]
    public async Task A_doubtful_line_is_told_of_also_when_quiet()
    {
        Outcome run = await Cli.ScoreAsync("""{"prompt":"x","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}""", "--quiet");
        Assert.Equal(0, run.Code);
        Assert.Contains("1 line: prompt is not in messages", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("score")]
    [InlineData("rank")]
    [InlineData("rank", "--json")]
    [InlineData("render")]
    [InlineData("tokenize")]
    public async Task Results_in_a_file_are_those_on_standard_output(string command, params string[] flags)
    {
        string input = command == "tokenize" ? """{"text":"a"}""" : """{"prompt":"a","responses":["b","c"]}""";
        string[] device = command is "render" or "tokenize" ? [] : ["--device", "cpu", "--quiet"];
        using TempFolder temp = new();
        string output = temp["results"];
        string[] call = [command, "--model", Cli.Mini, "--input", "-", .. device, .. flags];
        Outcome shown = await Cli.RunWithInputAsync(input, call), written = await Cli.RunWithInputAsync(input, [.. call, "--output", output]);
        Assert.Equal((0, "", shown.Out), (written.Code, written.Out, (await File.ReadAllTextAsync(output)).ReplaceLineEndings("\n")));
    }

    private static Task<Outcome> RenderAsync(string input, params string[] flags) => Cli.RunWithInputAsync(input, ["render", "--model", Cli.Mini, "--input", "-", .. flags]);
}
