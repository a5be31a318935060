using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>Plans as they are shown, and scoring over several devices and within a limit on memory.</summary>
[Trait("Duration", "Long")]
public class PlanTests
{
    private static readonly string[] Texts = ["--prompt", "a", "--response", "b", "--response", "cd"];

    /// <summary>Room for two of the model's four layers in int8, and 64 tokens.</summary>
    private static readonly string[] Little = ["--weights", "int8", "--memory", "3800kB", "--batch-tokens", "64"];

    private static string[] Score(params string[] flags) => ["score", "--model", Cli.Mini, .. Texts, .. flags];

    [Fact]
    public async Task A_dry_run_shows_the_plan_and_scores_nothing()
    {
        Outcome one = await Cli.RunAsync(Score("--device", "cpu", "--dry-run"));
        Assert.Equal((0, ""), (one.Code, one.Error));
        Assert.Matches(@"\n  cpu +0–3 +4 +0 ", one.Out);
        Assert.Contains("fp16 weights, micro-batches of 4,096 tokens", one.Out, StringComparison.Ordinal);
        Assert.DoesNotContain("score", one.Out, StringComparison.Ordinal);
        Outcome two = await Cli.RunAsync(Score("--device", "cpu,cpu", "--split", "1,3", "--dry-run"));
        Assert.Equal((0, ""), (two.Code, two.Error));
        Assert.Matches(@"\n  cpu +0–0 +1 +0 .*\n  cpu +1–3 +3 +0 ", two.Out);
        Assert.Contains("tokens/s expected", two.Out, StringComparison.Ordinal);
        // No input is needed, or read.
        Assert.Equal(Plan(one), Plan(await Cli.RunAsync("score", "--model", Cli.Mini, "--device", "cpu", "--dry-run")));
        Assert.Equal(Plan(one), Plan(await Cli.RunAsync("rank", "--model", Cli.Mini, "--device", "cpu", "--dry-run")));
        Outcome streams = await Cli.RunAsync(Score(["--device", "cpu", "--dry-run", .. Little]));
        Assert.Matches(@"\n  cpu +0–3 +[0-2] +[2-4] ", streams.Out);
        Assert.Contains("of weights from ", streams.Out, StringComparison.Ordinal);
        Assert.Contains("cpu would hold all of its layers with", streams.Out, StringComparison.Ordinal);

        // But for the memory that is free at the moment.
        static string Plan(Outcome outcome) => System.Text.RegularExpressions.Regex.Replace(outcome.Out, @" +[0-9.]+ [MG]B(?=   not measured)", " free");
    }

    [Fact]
    public async Task Inspect_shows_the_plan_as_a_table_and_as_json()
    {
        Outcome table = await Cli.RunAsync("inspect", Cli.Mini, "--device", "cpu,cpu", "--split", "3,1");
        Assert.Equal((0, ""), (table.Code, table.Error));
        Assert.Matches(@"Placement of the layers\n.*\n  cpu +0–2 +3 +0 .*\n  cpu +3–3 +1 +0 ", table.Out);
        Outcome outcome = await Cli.RunAsync(["inspect", Cli.Mini, "--json", "--device", "cpu,cpu", "--split", "3,1", "--heads", "fp16", .. Little]);
        JsonElement plan = Cli.Json(outcome.Out).GetProperty("plan");
        Assert.Equal("int8", plan.GetProperty("weights").GetString());
        JsonElement[] stages = [.. plan.GetProperty("stages").EnumerateArray()];
        Assert.Equal([("cpu", 0, 3), ("cpu", 3, 1)], stages.Select(s => (s.GetProperty("device").GetString(), s.GetProperty("first_layer").GetInt32(), s.GetProperty("layers").GetInt32())));
        Assert.Equal([3_800_000L, 3_800_000L], stages.Select(s => s.GetProperty("budget_bytes").GetInt64()));
        Assert.All(stages, s => Assert.InRange(
            s.GetProperty("weight_bytes").GetInt64() + s.GetProperty("slot_bytes").GetInt64() + s.GetProperty("activation_bytes").GetInt64(), 1, s.GetProperty("budget_bytes").GetInt64()));
        Assert.Equal(JsonValueKind.Array, plan.GetProperty("notes").ValueKind);
    }

    [Fact]
    public async Task A_model_that_fits_nowhere_is_inspected_all_the_same()
    {
        Outcome outcome = await Cli.RunAsync("inspect", Cli.Mini, "--device", "cpu", "--memory", "100kB");
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        Assert.Contains("nowhere: A layer with int8 weights and a text of 64 tokens need", outcome.Out.Replace("\n", " ", StringComparison.Ordinal), StringComparison.Ordinal);
        outcome = await Cli.RunAsync("inspect", Cli.Mini, "--json", "--device", "cpu", "--memory", "100kB");
        Assert.Contains("may use 0.1 MB (--memory)", Cli.Json(outcome.Out).GetProperty("why_no_plan").GetString(), StringComparison.Ordinal);
        (await Cli.RunAsync(Score("--device", "cpu", "--memory", "100kB"))).Fails(1, "A layer with int8 weights", "cpu (", "a larger --memory, or a machine with more memory");
    }

    /// <summary>Scores are the same to the bit over several devices of a kind, and where layers are streamed.</summary>
    [Fact]
    public async Task Scores_do_not_depend_on_the_plan()
    {
        string want = (await Cli.RunAsync(Score("--device", "cpu", "--weights", "int8", "--quiet"))).Out;
        Assert.Contains("\"scores\":[", want, StringComparison.Ordinal);
        foreach (string[] flags in (string[][])[["--device", "cpu,cpu"], ["--device", "cpu, cpu,cpu"], ["--device", "cpu,cpu", "--split", "1,3"], ["--device", "cpu", .. Little], ["--device", "cpu,cpu", "--split", "2,2", .. Little]])
        {
            Outcome got = await Cli.RunAsync(Score([.. flags.Contains("--memory") ? flags : [.. flags, "--weights", "int8"], "--quiet"]));
            Assert.Equal((0, "", want), (got.Code, got.Error, got.Out));
        }
    }

    [Fact]
    public async Task A_timeline_has_an_event_for_each_micro_batch_and_stage()
    {
        using TempFolder temp = new();
        string input = string.Concat(Enumerable.Range(0, 6).Select(i => $"{{\"input_ids\":[{string.Join(',', Enumerable.Range(2 + i, 40))}]}}\n"));
        Outcome outcome = await Cli.RunWithInputAsync(input, "score", "--model", Cli.Mini, "--device", "cpu,cpu", "--split", "1,3", "--batch-tokens", "40", "--input", "-", "--trace-events", temp["t.json"]);
        Assert.Equal(0, outcome.Code);
        JsonElement[] events = [.. Cli.Json(await File.ReadAllTextAsync(temp["t.json"])).EnumerateArray()];
        Dictionary<int, string> threads = events.Where(e => e.GetProperty("ph").GetString() == "M")
            .ToDictionary(e => e.GetProperty("tid").GetInt32(), e => e.GetProperty("args").GetProperty("name").GetString()!);
        Assert.Equal(["layers 0 to 0 of 4)", "layers 1 to 3 of 4)"], threads.Values.Select(name => name[name.IndexOf("layers", StringComparison.Ordinal)..]).Order(StringComparer.Ordinal));
        JsonElement[] spans = [.. events.Where(e => e.GetProperty("ph").GetString() == "X")];
        Assert.Equal(12, spans.Length);
        foreach (IGrouping<int, JsonElement> thread in spans.GroupBy(e => e.GetProperty("tid").GetInt32()))
        {
            Assert.Equal(Enumerable.Repeat("40 tokens", 6), thread.Select(e => e.GetProperty("name").GetString()));
            double end = 0;
            foreach (JsonElement span in thread)
            {
                // A device does one thing at a time.
                Assert.True(span.GetProperty("ts").GetDouble() >= end - 0.2);
                end = span.GetProperty("ts").GetDouble() + span.GetProperty("dur").GetDouble();
            }

            // What is printed is what the file says.
            double busy = thread.Sum(e => e.GetProperty("dur").GetDouble()) / 1e6;
            string line = outcome.Error.Split('\n').Single(l => l.StartsWith(threads[thread.Key], StringComparison.Ordinal));
            Assert.Matches(@": busy \d+\.\d\d s, idle \d+\.\d\d s of \d+\.\d\d s \(\d+ %\)$", line);
            Assert.Equal(busy, double.Parse(line.Split("busy ")[1].Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture), 0.011);
        }
    }

    /// <summary>Devices of one name that stream have a track each for the layers that are brought in.</summary>
    [Fact]
    public async Task A_timeline_shows_what_is_streamed_and_no_device_is_idle_for_less_than_nothing()
    {
        using TempFolder temp = new();
        Outcome outcome = await Cli.RunAsync(Score(["--device", "cpu,cpu", "--split", "2,2", "--trace-events", temp["t.json"], "--weights", "int8", "--memory", "3MB", "--batch-tokens", "64"]));
        Assert.Equal(0, outcome.Code);
        string[] lines = [.. outcome.Error.Split('\n').Where(l => l.Contains(": busy ", StringComparison.Ordinal))];
        Assert.Contains(lines, l => l.Contains("weights of layers", StringComparison.Ordinal));
        Assert.All(lines, l => Assert.DoesNotContain("idle -", l, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("--split 2,1 gives out 3 layers, and the model has 4. Give each of cpu, cpu at least one, 4 in all.", "--device", "cpu,cpu", "--split", "2,1")]
    [InlineData("--split 4,0 gives out 4 layers, and the model has 4. Give each", "--device", "cpu,cpu", "--split", "4,0")]
    [InlineData("--split 2,2 is for 2 devices, and there is 1: cpu", "--device", "cpu", "--split", "2,2")]
    [InlineData("--split 4 is for 1 devices, and there are 2: cpu, cpu", "--device", "cpu,cpu", "--split", "4")]
    [InlineData("--split 2,x: \"x\" is not a number of layers", "--device", "cpu,cpu", "--split", "2,x")]
    [InlineData("--split -1,5: \"-1\" is not a number of layers", "--device", "cpu,cpu", "--split=-1,5")]
    [InlineData("--split 9999999999,1: \"9999999999\" is not a number", "--device", "cpu,cpu", "--split", "9999999999,1")]
    [InlineData("--memory lots: \"lots\" is not a size", "--device", "cpu", "--memory", "lots")]
    [InlineData("--memory 0: \"0\" is not a size", "--device", "cpu", "--memory", "0")]
    [InlineData("--memory -1GiB: \"-1GiB\" is not a size", "--device", "cpu", "--memory=-1GiB")]
    [InlineData("--memory 1GiB,: \"\" is not a size", "--device", "cpu", "--memory", "1GiB,")]
    [InlineData("--memory 1e9: \"1e9\" is not a size", "--device", "cpu", "--memory", "1e9")]
    [InlineData("--memory 99999999TiB: ", "--device", "cpu", "--memory", "99999999TiB")]
    [InlineData("--memory has 2 figures, and --device cpu names 1 device", "--device", "cpu", "--memory", "1GiB,2GiB")]
    [InlineData("--memory has 3 figures, and --device cpu,cpu names 2 devices", "--device", "cpu,cpu", "--memory", "1GiB,2GiB,3GiB")]
    [InlineData("There is no device 'npu'", "--device", "cpu,npu")]
    [InlineData("There is no device ''", "--device", "cpu,")]
    public async Task A_plan_that_cannot_be_exits_with_2_and_one_line(string message, params string[] flags)
    {
        (await Cli.RunAsync(Score(flags))).Fails(2, message);
        (await Cli.RunAsync(Score([.. flags, "--dry-run"]))).Fails(2, message);
    }
}
