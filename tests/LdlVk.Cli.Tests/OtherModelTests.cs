using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>Models that give a score alone, through the commands that show more of others.</summary>
[Trait("Duration", "Long")]
public class OtherModelTests
{
    [Theory]
    [InlineData("s_skywork_bf16", "Gemma-2 with a linear head (Skywork-Reward-Gemma-2)", "gemma2-score")]
    [InlineData("i_inform_bf16", "Llama with a head of two layers (INF-ORM-Llama3.1)", "llama-score")]
    public async Task Inspect_names_the_family(string name, string family, string architecture)
    {
        string folder = Goldens.Read(name).Folder;
        Outcome people = await Cli.RunAsync("inspect", folder);
        Assert.Equal(0, people.Code);
        Assert.Contains(family, people.Out, StringComparison.Ordinal);
        Assert.Contains("the score alone", people.Out, StringComparison.Ordinal);
        JsonElement json = Cli.Json((await Cli.RunAsync("inspect", folder, "--json")).Out);
        Assert.Equal(architecture, json.GetProperty("architecture").GetString());
        Assert.False(json.TryGetProperty("attributes", out _));
    }

    [Theory]
    [InlineData("s_skywork_bf16")]
    [InlineData("i_inform_bf16")]
    public async Task Details_of_a_score_alone_are_the_score(string name)
    {
        GoldenRow row = Goldens.Read(name).Inputs[0].Rows[0];
        Outcome outcome = await Cli.RunWithInputAsync(
            $"{{\"input_ids\":[{string.Join(',', row.Ids)}]}}\n", "score", "--model", Goldens.Read(name).Folder, "--device", "cpu", "--weights", "fp32", "--input", "-", "--details");
        Assert.Equal(0, outcome.Code);
        JsonElement line = Assert.Single(outcome.Lines);
        Assert.Equal(["id", "score", "tokens"], line.EnumerateObject().Select(p => p.Name));
        Assert.Equal(row.Reference.Score, line.GetProperty("score").GetDouble(), 2e-4);
    }

    /// <summary>Conversion keeps the head, and the converted folder gives the original's score in that format.</summary>
    [Theory]
    [InlineData("s_skywork_bf16")]
    [InlineData("i_inform_bf16")]
    public async Task A_converted_folder_scores_as_its_original(string name)
    {
        using TempFolder temp = new();
        string folder = Goldens.Read(name).Folder, ids = $"{{\"input_ids\":[{string.Join(',', Goldens.Read(name).Inputs[0].Rows[0].Ids)}]}}\n";
        Assert.Equal(0, (await Cli.RunAsync("convert", folder, temp["m"], "--weights", "int8")).Code);
        Outcome original = await Cli.RunWithInputAsync(ids, "score", "--model", folder, "--device", "cpu", "--weights", "int8", "--input", "-");
        Outcome converted = await Cli.RunWithInputAsync(ids, "score", "--model", temp["m"], "--device", "cpu", "--input", "-");
        Assert.Equal((0, original.Out), (converted.Code, converted.Out));
    }

    /// <summary>
    /// GRM's value head is INF-ORM's by other names: Linear, ReLU, Linear, with biases. Its backbone may be any; so a reference checkpoint
    /// with renamed tensors has the reference's scores.
    /// </summary>
    [Fact]
    public async Task A_value_head_of_GRM_scores_as_the_reference()
    {
        using TempFolder temp = new();
        GoldenCase golden = Goldens.Read("i_inform_bf16");
        string[] names = ["0.weight", "0.bias", "2.weight", "2.bias"];
        OtherHead.Write(temp["grm"], golden.Folder, [.. names.Select(name => OtherHead.Read(golden.Folder, "score." + name) with { Name = "v_head.summary." + name })]);
        Assert.Contains("a value head (GRM)", (await Cli.RunAsync("inspect", temp["grm"])).Out, StringComparison.Ordinal);
        foreach (GoldenRow row in golden.Inputs.SelectMany(input => input.Rows))
            Assert.Equal(row.Reference.Score, await ScoreAsync(temp["grm"], "fp32", row), 2e-4);
        Assert.Equal(0, (await Cli.RunAsync("convert", temp["grm"], temp["int8"], "--weights", "int8")).Code);
        Assert.Equal(await ScoreAsync(temp["grm"], "int8", golden.Inputs[0].Rows[0]), await ScoreAsync(temp["int8"], "int8", golden.Inputs[0].Rows[0]));

        static async Task<double> ScoreAsync(string folder, string weights, GoldenRow row)
        {
            Outcome outcome = await Cli.RunWithInputAsync($"{{\"input_ids\":[{string.Join(',', row.Ids)}]}}\n", "score", "--model", folder, "--device", "cpu", "--weights", weights, "--input", "-");
            return Assert.Single(outcome.Lines).GetProperty("score").GetDouble();
        }
    }

    [Theory]
    [InlineData("v_head.summary.weight", 2, "has 2 outputs; a reward model's score is 1 number")]
    [InlineData("v_head.summary.bias", 1, "v_head.summary.")]
    public async Task A_value_head_of_another_shape_is_refused(string name, int outputs, string message)
    {
        using TempFolder temp = new();
        string from = Goldens.Read("s_skywork_bf16").Folder;
        int hidden = OtherHead.Read(from, "score.weight").Shape[1];
        OtherHead.Write(temp["grm"], from, [new OtherHead.Tensor(name, [outputs, hidden], new float[outputs * hidden])]);
        (await Cli.RunAsync("inspect", temp["grm"])).Fails(2, message);
    }

    /// <summary>What eval and fidelity say of attributes is left out where there are none, and the rest is there.</summary>
    [Fact]
    public async Task Eval_and_fidelity_of_a_score_alone_show_what_there_is()
    {
        using TempFolder temp = new();
        OtherHead.WriteScoreAlone(temp["m"]);
        string[] model = ["--model", temp["m"], "--device", "cpu", "--input", temp.Write("in.jsonl", string.Join('\n', File.ReadLines(EvalTests.Pairs).Take(20)))];
        Outcome eval = await Cli.RunAsync(["eval", .. model, "--quiet", "--json", "--report", temp["eval.html"]]);
        Assert.Equal((0, ""), (eval.Code, eval.Error));
        Assert.Equal(0, Cli.Json(eval.Out).GetProperty("attributes").GetArrayLength());
        string report = File.ReadAllText(temp["eval.html"]);
        Assert.Contains("Calibration", report, StringComparison.Ordinal);
        Assert.DoesNotContain("Sub-scores", report, StringComparison.Ordinal);

        Outcome fidelity = await Cli.RunAsync(["fidelity", .. model, "--quiet", "--json", "--baseline", "weights=fp32", "--candidate", "weights=int8", "--report", temp["fidelity.html"]]);
        Assert.Equal((0, ""), (fidelity.Code, fidelity.Error));
    }
}
