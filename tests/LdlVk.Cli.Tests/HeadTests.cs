using System.Globalization;
using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>What models give beside a score, steps, and the flags that choose among heads and aggregations; on the goldens of families.</summary>
public sealed class HeadTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    [Theory]
    [InlineData("armorm_llama")]
    [InlineData("qrm_gemma2")]
    [InlineData("urm_llama")]
    public async Task Details_have_attributes_whose_weighted_sum_is_the_score(string name)
    {
        GoldenRow row = FamilyGoldens.Read(name).Inputs[0].Rows[0];
        Outcome run = await ScoreAsync(name, Ids(row), "--details");
        JsonElement line = Assert.Single(run.Lines);
        double[] weights = Numbers(line, "weights"), scores = Numbers(line, line.TryGetProperty("adjusted", out _) ? "adjusted" : "attributes");
        Assert.Equal(line.GetProperty("score").GetDouble(), weights.Zip(scores, (w, s) => w * s).Sum(), 1e-3);
        Assert.Equal(row.Reference.Score, line.GetProperty("score").GetDouble(), 2e-4);
        Assert.Equal(name == "qrm_gemma2", line.TryGetProperty("quantiles", out _));
        Assert.False((await ScoreAsync(name, Ids(row))).Lines[0].TryGetProperty("weights", out _));
    }

    [Theory]
    [InlineData("qwen2_prm", "prod")]
    [InlineData("skywork_o1_prm", "last")]
    public async Task Steps_are_scored_and_aggregated(string name, string usual)
    {
        GoldenRow row = FamilyGoldens.Read(name).Inputs.SelectMany(input => input.Rows).First(row => row.StepPositions!.Length > 2);
        Outcome run = await Cli.RunAsync(Input(name, Ids(row), "score"));
        Assert.Contains($"{usual} of a response's steps", run.Error, StringComparison.Ordinal);
        double[] steps = Numbers(run.Lines[0], "steps");
        Assert.All(row.Reference.Steps!.Zip(steps), pair => Assert.Equal(pair.First, pair.Second, 2e-4));
        Assert.Equal(["id", "score", "steps", "tokens"], run.Lines[0].EnumerateObject().Select(p => p.Name));
        Dictionary<string, double> scores = [];
        foreach (string aggregation in (string[])["auto", "last", "min", "mean", "prod"])
            scores[aggregation] = (await ScoreAsync(name, Ids(row), "--aggregate", aggregation)).Lines[0].GetProperty("score").GetDouble();
        Assert.Equal(scores[usual], scores["auto"]);
        Assert.Equal(steps[^1], scores["last"], 1e-6);
        Assert.Equal(steps.Min(), scores["min"], 1e-6);
        Assert.Equal(steps.Average(), scores["mean"], 1e-6);
        Assert.Equal(steps.Aggregate((a, b) => a * b), scores["prod"], 1e-6);
    }

    [Theory]
    [InlineData("""{"input_ids":[1,2,3]}""", "the text has no steps")]
    [InlineData("""{"input_ids":[1,2,3],"step_positions":[]}""", "the list of steps is empty")]
    [InlineData("""{"input_ids":[1,2,3],"step_positions":[3]}""", "outside the text of 3 tokens")]
    [InlineData("""{"input_ids":[1,2,3],"step_positions":[2,1]}""", "must ascend")]
    [InlineData("""{"prompt":"a","steps":[]}""", "steps is empty")]
    [InlineData("""{"prompt":"a","steps":["b",""]}""", "steps[1] is empty")]
    [InlineData("""{"prompt":"a","steps":["b"],"response":"b"}""", "response and steps")]
    [InlineData("""{"prompt":"a","response":"b","step_positions":[1]}""", "lacks")]
    public async Task A_line_without_usable_steps_is_an_error_of_that_line(string line, string message)
    {
        Outcome run = await ScoreAsync("qwen2_prm", $"{line}\n{{\"input_ids\":[1,2,3],\"step_positions\":[1,2]}}");
        Assert.Equal(3, run.Code);
        Assert.Contains(message, run.ErrorOf(0), StringComparison.Ordinal);
        Assert.Equal(2, Numbers(run.Lines[1], "steps").Length);
    }

    [Fact]
    public async Task Rendered_ids_come_with_the_positions_that_are_read()
    {
        GoldenRow gated = FamilyGoldens.Read("armorm_llama").Inputs[0].Rows[0], steps = FamilyGoldens.Read("qwen2_prm").Inputs[0].Rows[0];
        JsonElement line = (await Cli.RunAsync(Input("armorm_llama", Ids(gated), "render", "--ids"))).Lines[0];
        Assert.Equal((gated.Ids.Length - 1, gated.GateIndex!.Value), (line.GetProperty("position").GetInt32(), line.GetProperty("gate_position").GetInt32()));
        line = (await Cli.RunAsync(Input("qwen2_prm", Ids(steps), "render", "--ids"))).Lines[0];
        Assert.Equal(steps.StepPositions!, line.GetProperty("step_positions").EnumerateArray().Select(p => p.GetInt32()));
    }

    [Fact]
    public async Task Inspect_says_what_is_read()
    {
        Outcome run = await Cli.RunAsync("inspect", Folder("armorm_llama"));
        Assert.Contains("the token before the first padding; the gates at the last pattern of tokens 299 296", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_logit_is_scored_only_where_it_is_chosen_and_recorded()
    {
        GoldenRow row = FamilyGoldens.Read("llama_logit0").Inputs[0].Rows[0];
        Outcome refused = await ScoreAsync("llama_logit0", Ids(row));
        Assert.Equal(2, refused.Code);
        Assert.Contains("--head logit:N", refused.Error, StringComparison.Ordinal);
        Outcome chosen = await ScoreAsync("llama_logit0", Ids(row), "--head", "logit:0");
        Assert.Equal(row.Reference.Score, chosen.Lines[0].GetProperty("score").GetDouble(), 2e-4);
        string output = _temp["scores.jsonl"];
        string[] call = [.. Input("llama_logit0", Ids(row), "score"), "--weights", "fp32", "--resume", "--output", output];
        Assert.Equal(0, (await Cli.RunAsync([.. call, "--head", "logit:0"])).Code);
        Outcome other = await Cli.RunAsync([.. call, "--head", "logit:1"]);
        Assert.Equal(2, other.Code);
        Assert.Contains("head logit:0", other.Error, StringComparison.Ordinal);
        string converted = _temp["converted"];
        Assert.Equal(0, (await Cli.RunAsync("convert", Folder("llama_logit0"), converted, "--weights", "fp16", "--head", "logit:0")).Code);
        Outcome kept = await Cli.RunAsync("score", "--model", converted, "--device", "cpu", "--input", _temp.Write("again.jsonl", Ids(row)));
        Assert.Equal(row.Reference.Score, kept.Lines[0].GetProperty("score").GetDouble(), 0.05);
    }

    /// <summary>A BatchNorm is folded from the same tensors.</summary>
    [Theory]
    [InlineData("qrm_llama")]
    [InlineData("qwen2_prm")]
    public async Task A_converted_folder_scores_as_the_original(string name)
    {
        string converted = _temp["converted"], line = Ids(FamilyGoldens.Read(name).Inputs[0].Rows[0]);
        Assert.Equal(0, (await Cli.RunAsync("convert", Folder(name), converted, "--weights", "int8")).Code);
        Outcome original = await Cli.RunAsync([.. Input(name, line, "score", "--weights", "int8", "--details")]);
        Outcome kept = await Cli.RunAsync("score", "--model", converted, "--device", "cpu", "--details", "--input", _temp.Write("again.jsonl", line));
        Assert.Equal(original.Out, kept.Out);
    }

    [Fact]
    public async Task A_text_without_the_gate_s_pattern_is_an_error_that_names_it()
    {
        Outcome run = await ScoreAsync("armorm_llama", """{"input_ids":[1,2,3]}""");
        Assert.Equal(3, run.Code);
        Assert.Contains("299 296 171 297 71", run.ErrorOf(0), StringComparison.Ordinal);
    }

    private Task<Outcome> ScoreAsync(string name, string lines, params string[] flags) =>
        Cli.RunAsync([.. Input(name, lines, "score", "--weights", "fp32"), .. flags]);

    /// <summary>A call with the lines as its input.</summary>
    private string[] Input(string name, string lines, string command, params string[] flags) =>
    [
        command, "--model", Folder(name), "--input", _temp.Write("input.jsonl", lines), .. flags,
        .. command == "render" ? (string[])[] : ["--device", "cpu"],
    ];

    private static string Folder(string name) => Path.Combine(FamilyGoldens.Folder, name);

    private static string Ids(GoldenRow row)
    {
        string steps = row.StepPositions is null ? "" : $",\"step_positions\":[{Join(row.StepPositions)}]";
        return $"{{\"input_ids\":[{Join(row.Ids)}]{steps}}}";
    }

    private static string Join(int[] numbers) => string.Join(',', numbers.Select(n => n.ToString(CultureInfo.InvariantCulture)));

    private static double[] Numbers(JsonElement line, string name) => [.. line.GetProperty(name).EnumerateArray().Select(n => n.GetDouble())];
}
