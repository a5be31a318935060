using System.Diagnostics;
using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>ldlvk fidelity.</summary>
[Trait("Duration", "Long")]
public class FidelityTests
{
    private static readonly string[] Call = ["fidelity", "--model", Cli.Mini, "--device", "cpu", "--quiet"];

    [Fact]
    public async Task It_says_what_the_scores_of_each_setting_say()
    {
        using TempFolder temp = new();
        Outcome run = await Cli.RunAsync([.. Call, "--input", EvalTests.Pairs, "--baseline", "weights=fp32", "--candidate", "weights=int8", "--candidate", "weights=int4", "--json"]);
        Assert.Equal((0, ""), (run.Code, run.Error));
        JsonElement json = Cli.Json(run.Out);
        JsonElement[] before = await OutputsAsync("fp32");
        Assert.Equal(before.Sum(l => l.GetProperty("results").GetInt32()), json.GetProperty("baseline").GetProperty("right").GetInt32());
        foreach ((JsonElement candidate, string weights) in json.GetProperty("candidates").EnumerateArray().Zip((string[])["int8", "int4"]))
        {
            JsonElement[] after = await OutputsAsync(weights);
            double[] errors = [.. before.Zip(after).SelectMany(p => (double[])[p.Second.GetProperty("scores_chosen").GetSingle() - (double)p.First.GetProperty("scores_chosen").GetSingle(), p.Second.GetProperty("scores_rejected").GetSingle() - (double)p.First.GetProperty("scores_rejected").GetSingle()])];
            JsonElement error = candidate.GetProperty("score_error");
            Assert.Equal(errors.Average(Math.Abs), error.GetProperty("mean").GetDouble(), 1e-12);
            Assert.Equal(errors.Max(Math.Abs), error.GetProperty("largest").GetDouble(), 1e-12);
            Assert.Equal(Math.Sqrt(errors.Average(e => e * e)), error.GetProperty("rms").GetDouble(), 1e-12);
            Assert.InRange(error.GetProperty("mean").GetDouble(), 1e-4, weights == "int8" ? 0.01 : 0.1);
            string?[] flips = [.. before.Zip(after).Where(p => p.First.GetProperty("results").GetInt32() != p.Second.GetProperty("results").GetInt32()).Select(p => p.First.GetProperty("id").GetString())];
            Assert.Equal(flips, candidate.GetProperty("flips").EnumerateArray().Select(f => f.GetProperty("id").GetString()));
            Assert.InRange(flips.Length, 0, weights == "int8" ? 0 : 2);
            Assert.InRange(candidate.GetProperty("spearman").GetDouble(), 0.999, 1);
        }

        async Task<JsonElement[]> OutputsAsync(string weights)
        {
            Assert.Equal(0, (await Cli.RunAsync("eval", "--model", Cli.Mini, "--device", "cpu", "--quiet", "--weights", weights, "--input", EvalTests.Pairs, "--output", temp[weights])).Code);
            return [.. File.ReadLines(temp[weights]).Select(Cli.Json)];
        }
    }

    [Fact]
    public async Task A_converted_folder_has_the_bits_of_its_weights()
    {
        using TempFolder temp = new();
        string input = temp.Write("in.jsonl", string.Join('\n', [.. File.ReadLines(EvalTests.Pairs).Take(20), "{}"]));
        Assert.Equal(0, (await Cli.RunAsync("convert", Cli.Mini, temp["int8"], "--weights", "int8", "--quiet")).Code);
        Outcome run = await Cli.RunAsync([.. Call, "--input", input, "--baseline", "weights=int8", "--candidate", $"model={temp["int8"]}", "--report", temp["r.html"]]);
        Assert.Equal(3, run.Code);
        Assert.Contains("line 20 (counted from 0) is left out", run.Error, StringComparison.Ordinal);
        Assert.Matches("(?m)^lines that flip +0$", run.Out);
        Assert.Matches("(?m)^score error, mean +0$", run.Out);
        Assert.Matches("(?m)^Spearman's ρ +1.000000$", run.Out);
        Assert.Contains("All 40 scores are bitwise equal to those of the baseline.", File.ReadAllText(temp["r.html"]), StringComparison.Ordinal);
    }

    /// <summary>A pipe that has been read is either empty, or waited for without end.</summary>
    [Theory(Timeout = 60_000)]
    [InlineData("fidelity", "can be read only once")]
    [InlineData("eval", null)]
    public async Task A_named_pipe_is_read_once(string command, string? error)
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("Pipes have names elsewhere in other ways.");
        using TempFolder temp = new();
        using (Process made = Process.Start("mkfifo", temp["pipe"])) await made.WaitForExitAsync(TestContext.Current.CancellationToken);
        Task writer = Task.Run(() => File.WriteAllText(temp["pipe"], File.ReadLines(EvalTests.Pairs).First() + "\n"), TestContext.Current.CancellationToken);
        string[] call = [command, .. Call[1..], "--input", temp["pipe"], "--json"];
        if (error is null)
        {
            Assert.Equal(1, Cli.Json((await Task.Run(() => Cli.RunAsync(call))).Out).GetProperty("examples").GetInt32());
            await writer;
            return;
        }

        (await Task.Run(() => Cli.RunAsync([.. call, "--baseline", "weights=fp32", "--candidate", "weights=int8"]))).Fails(2, error);
        await File.ReadAllTextAsync(temp["pipe"], TestContext.Current.CancellationToken);
    }

    [Theory]
    [InlineData("there is no setting \"wieghts\"", "--baseline", "wieghts=int8", "--candidate", "weights=int8")]
    [InlineData("give KEY=VALUE", "--baseline", "int8", "--candidate", "weights=int8")]
    [InlineData("weights is given twice", "--baseline", "weights=fp32", "--candidate", "weights=int8,weights=int4")]
    [InlineData("--weights int3: there is only", "--baseline", "weights=fp32", "--candidate", "weights=int3")]
    [InlineData("There is no device 'vulkan:98", "--baseline", "weights=fp32", "--candidate", "device=vulkan:98,vulkan:99,weights=int8")]
    [InlineData("There is no folder /no/such", "--baseline", "weights=fp32", "--candidate", "model=/no/such")]
    [InlineData("Option '--candidate' is required", "--baseline", "weights=fp32")]
    public async Task A_wrong_call_exits_with_2(string message, params string[] args) => (await Cli.RunAsync([.. Call, "--input", EvalTests.Pairs, .. args])).Fails(2, message);

    [Fact]
    public async Task Standard_input_cannot_be_read_for_each_setting() =>
        (await Cli.RunAsync([.. Call, "--input", "-", "--baseline", "weights=fp32", "--candidate", "weights=int8"])).Fails(2, "can be read only once");
}
