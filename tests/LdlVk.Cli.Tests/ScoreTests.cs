using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

[Trait("Wine", "Together")]
public class ScoreTests
{
    private static JsonElement[] Goldens { get; } = [.. File.ReadLines(Repository.Path("tests", "data", "ldl-mini", "goldens.jsonl")).Select(Cli.Json)];

    [Fact]
    public async Task Conversations_get_the_reference_scores()
    {
        string input = string.Concat(Goldens.Select(g => $"{{\"id\":{g.GetProperty("name").GetRawText()},\"messages\":{g.GetProperty("messages").GetRawText()}}}\n"));
        Outcome run = await Cli.ScoreAsync(input);
        Assert.Equal(0, run.Code);
        Assert.Equal(Goldens.Length, run.Lines.Length);
        foreach ((JsonElement golden, JsonElement line) in Goldens.Zip(run.Lines))
        {
            Assert.Equal(golden.GetProperty("name").GetString(), line.GetProperty("id").GetString());
            Assert.Equal(golden.GetProperty("token_ids").GetArrayLength(), line.GetProperty("tokens").GetInt32());
            Assert.Equal(golden.GetProperty("score").GetDouble(), line.GetProperty("score").GetDouble(), 5e-4);
            Assert.Equal(["id", "score", "tokens"], line.EnumerateObject().Select(p => p.Name));
        }

        Assert.Matches(@"^20 lines read as conversations: messages\[messages\]\n20 texts, 3,618 tokens in .*tokens/s.*; cpu \(.*\), fp16 weights\n$", run.Error);
    }

    [Fact]
    public async Task Token_ids_are_used_as_they_are_and_details_match_the_reference()
    {
        JsonElement golden = Goldens[0];
        Outcome run = await Cli.ScoreAsync($"{{\"input_ids\":{golden.GetProperty("token_ids").GetRawText()}}}", "--details", "--quiet");
        JsonElement line = Assert.Single(run.Lines);
        Assert.Equal(("", 0), (run.Error, line.GetProperty("id").GetInt32()));
        Assert.Equal(golden.GetProperty("score").GetDouble(), line.GetProperty("score").GetDouble(), 5e-4);
        Close(golden.GetProperty("weights"), line.GetProperty("weights"));
        Close(golden.GetProperty("distribution"), line.GetProperty("distribution"));
        JsonElement[] rewards = [.. line.GetProperty("rewards").EnumerateArray()];
        Assert.Equal((22, 10), (rewards.Length, rewards[0].GetArrayLength()));
        foreach ((JsonElement bins, JsonElement attribute) in rewards.Zip(golden.GetProperty("attributes").EnumerateArray()))
            Assert.Equal(attribute.GetDouble(), bins.EnumerateArray().Select((p, b) => p.GetDouble() * b / 9).Sum(), 5e-4);

        static void Close(JsonElement expected, JsonElement actual)
        {
            Assert.Equal(expected.GetArrayLength(), actual.GetArrayLength());
            foreach ((JsonElement e, JsonElement a) in expected.EnumerateArray().Zip(actual.EnumerateArray())) Assert.Equal(e.GetDouble(), a.GetDouble(), 5e-4);
        }
    }

    [Fact]
    public async Task Responses_give_scores_and_the_best_with_the_same_bits_as_alone()
    {
        const string Prompt = "What is meant by \\\"horse\\\"?";
        Outcome run = await Cli.ScoreAsync($$"""
            {"id":"many","prompt":"{{Prompt}}","responses":["I cannot help.","An animal that people ride.","xx zzq"]}
            {"id":2.50,"prompt":"{{Prompt}}","response":"I cannot help."}
            {"prompt":"{{Prompt}}","response":"An animal that people ride.","extra":"ignored"}
            {"prompt":"{{Prompt}}","responses":["xx zzq"]}
            """, "--details");
        Assert.Equal(0, run.Code);
        JsonElement many = run.Lines[0];
        string[] scores = Raw(many, "scores"), tokens = Raw(many, "tokens");
        Assert.Equal([scores[0], scores[1], scores[2]], [run.Lines[1].GetProperty("score").GetRawText(), run.Lines[2].GetProperty("score").GetRawText(), Raw(run.Lines[3], "scores")[0]]);
        Assert.Equal([tokens[0], tokens[1]], [run.Lines[1].GetProperty("tokens").GetRawText(), run.Lines[2].GetProperty("tokens").GetRawText()]);
        Assert.Equal(1, many.GetProperty("best").GetInt32());
        Assert.Equal(["\"many\"", "2.50", "2", "3"], run.Lines.Select(l => l.GetProperty("id").GetRawText()));
        Assert.Equal((3, 22, 10), (many.GetProperty("rewards").GetArrayLength(), many.GetProperty("rewards")[2].GetArrayLength(), many.GetProperty("distribution")[2].GetArrayLength()));

        static string[] Raw(JsonElement line, string name) => [.. line.GetProperty(name).EnumerateArray().Select(e => e.GetRawText())];
    }

    [Theory]
    [InlineData("--no-share-prefixes")]
    [InlineData("--batch-tokens", "7")]
    public async Task What_changes_the_speed_changes_no_bit(params string[] flags)
    {
        const string Input = """
            {"prompt":"Define \"sea\".","responses":["Much water.","Water that is much.","No."]}
            {"prompt":"Define \"sea\".","response":"Much water."}
            """;
        Assert.Equal((await Cli.ScoreAsync(Input)).Out, (await Cli.ScoreAsync(Input, flags)).Out);
    }

    [Fact]
    public async Task Weights_and_embedding_scale_reach_the_model()
    {
        // √256 is 16 in bf16 too, so the scale shows only with the golden model of hidden 96.
        const string Input = """{"prompt":"a","response":"b"}""";
        string[] outputs = [(await Cli.ScoreAsync(Input)).Out, (await Cli.ScoreAsync(Input, "--weights", "int8")).Out, (await Cli.ScoreAsync(Input, "--weights", "int4")).Out, (await Cli.ScoreAsync(Input, "--heads", "int8")).Out];
        Assert.Equal(4, outputs.Distinct().Count());
        string folder = Repository.Path("tests", "data", "goldens", "b_bf16_sharded");
        string[] golden = ["score", "--model", folder, "--device", "cpu", "--input", "-", "--quiet", "--embedding-scale"];
        string ids = """{"input_ids":[5,9,12]}""";
        string exact = (await Cli.RunWithInputAsync(ids, [.. golden, "exact"])).Out, bf16 = (await Cli.RunWithInputAsync(ids, [.. golden, "bf16"])).Out;
        Assert.NotEqual(exact, bf16);
        Assert.Equal(bf16, (await Cli.RunWithInputAsync(ids, [.. golden, "auto"])).Out);
    }

    /// <summary>The fast mode takes int8 weights by itself, says how far off it is, unless nobody listens, and is no further off than it says.</summary>
    [Fact]
    public async Task Int8_compute_says_how_far_scores_are_off()
    {
        const string Input = """{"prompt":"Define \"sea\".","responses":["Much water.","A large body of salt water."]}""";
        string[] call = ["score", "--model", Cli.Mini, "--device", "cpu", "--input", "-"];
        Outcome fast = await Cli.RunWithInputAsync(Input, [.. call, "--compute", "int8"]), exact = await Cli.RunWithInputAsync(Input, [.. call, "--weights", "int8"]);
        Assert.Contains("int8 weights", fast.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("int8 compute", exact.Error, StringComparison.Ordinal);
        double[] errors = [.. Scores(fast).Zip(Scores(exact), (a, b) => Math.Abs(a - b))];
        Match said = Regex.Match(fast.Error, "int8 compute: the first 2 scores are off by ([0-9.E-]+) on average, ([0-9.E-]+) at most, compared with exact products of the same weights");
        Assert.Equal(errors.Average(), double.Parse(said.Groups[1].Value, CultureInfo.InvariantCulture), errors.Average() * 0.06);
        Assert.Equal(errors.Max(), double.Parse(said.Groups[2].Value, CultureInfo.InvariantCulture), errors.Max() * 0.06);
        Assert.InRange(errors.Max(), 1e-5, 0.2);

        Outcome quiet = await Cli.RunWithInputAsync(Input, [.. call, "--compute", "int8", "--quiet"]);
        Assert.Equal((fast.Out, ""), (quiet.Out, quiet.Error));

        static double[] Scores(Outcome run) => [.. run.Lines[0].GetProperty("scores").EnumerateArray().Select(s => (double)s.GetSingle())];
    }

    /// <summary>
    /// Sums in fp16, which the processor simulates: other bits than auto's, near them, and the summary says how near. A run is not continued
    /// in another mode.
    /// </summary>
    [Fact]
    public async Task Fp16x_compute_says_how_far_scores_are_off()
    {
        const string Input = """{"prompt":"Define \"sea\".","responses":["Much water.","A large body of salt water."]}""";
        using TempFolder temp = new();
        string[] call = ["score", "--model", Cli.Mini, "--device", "cpu", "--input", temp.Write("i.jsonl", Input), "--resume", "--output"];
        Outcome fast = await Cli.RunAsync([.. call, temp["fast"], "--compute", "fp16x"]), exact = await Cli.RunAsync([.. call, temp["exact"]]);
        Assert.Equal((0, 0), (fast.Code, exact.Code));
        double[] errors = [.. Scores("fast").Zip(Scores("exact"), (a, b) => Math.Abs(a - b))];
        Assert.InRange(errors.Max(), 1e-7, 0.02);
        Assert.Matches("fp16x compute: the first 2 scores are off by ", fast.Error);
        Assert.DoesNotContain("compute:", exact.Error, StringComparison.Ordinal);
        foreach (string[] other in (string[][])[[], ["--compute", "int8"]])
            (await Cli.RunAsync([.. call, temp["fast"], .. other])).Fails(2, "other settings", "fp16x");
        (await Cli.RunAsync([.. call, temp["exact"], "--compute", "fp16x"])).Fails(2, "other settings", "fp16x");

        double[] Scores(string file) =>
            [.. JsonElement.Parse(File.ReadAllText(temp[file])).GetProperty("scores").EnumerateArray().Select(s => (double)s.GetSingle())];
    }

    /// <summary>A device without such sums would compute what auto does; whoever asks for them is told so.</summary>
    [Fact]
    public async Task Fp16x_compute_is_refused_where_it_would_change_nothing()
    {
        string[] portable = [.. ComputeDevices.Enumerate(KernelChoice.Portable).Select(device => device.Id).Where(id => id.StartsWith("vulkan:", StringComparison.Ordinal))];
        Assert.SkipWhen(portable.Length == 0, "no Vulkan driver here");
        string[] flags = ["--device", portable[0], "--kernels", "portable", "--compute", "fp16x"];
        foreach (string[] call in (string[][])[["score", "--model", Cli.Mini, "--prompt", "a", "--response", "b"], ["bench"], ["tune"]])
            (await Cli.RunAsync([.. call, .. flags])).Fails(2, "--compute fp16x would change nothing", "Leave --compute out");
    }

    /// <summary>fp16 is what auto does, by name: the same bits, with the same weights, and nothing to say about errors.</summary>
    [Theory]
    [InlineData("auto")]
    [InlineData("fp32")]
    public async Task Fp16_compute_is_what_auto_does(string weights)
    {
        const string Input = """{"prompt":"Define \"sea\".","responses":["Much water.","A large body of salt water."]}""";
        string[] call = ["score", "--model", Cli.Mini, "--device", "cpu", "--input", "-", "--details", "--weights", weights];
        Outcome named = await Cli.RunWithInputAsync(Input, [.. call, "--compute", "fp16"]), auto = await Cli.RunWithInputAsync(Input, [.. call, "--compute", "auto"]);
        Assert.Equal((0, auto.Out), (named.Code, named.Out));
        Assert.DoesNotContain("compute:", named.Error, StringComparison.Ordinal);
        Assert.Contains(weights == "auto" ? "fp16 weights" : "fp32 weights", named.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Floats_read_back_to_the_same_bits()
    {
        JsonElement line = (await Cli.ScoreAsync("""{"prompt":"a","response":"b"}""", "--details")).Lines[0];
        foreach (JsonElement number in line.GetProperty("weights").EnumerateArray().Append(line.GetProperty("score")))
            Assert.Equal(number.GetRawText(), float.Parse(number.GetRawText(), CultureInfo.InvariantCulture).ToString("R", CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task A_text_on_the_command_line_and_no_template()
    {
        Outcome line = await Cli.RunAsync("score", "--model", Cli.Mini, "--device", "cpu", "--prompt", "@file", "--response", "-1", "--quiet");
        Assert.Equal((0, 0), (line.Code, line.Lines[0].GetProperty("id").GetInt32()));
        // Without a template: <bos> and the two contents.
        Outcome none = await Cli.ScoreAsync("""{"prompt":"a","response":"a"}""", "--chat-template", "none");
        Assert.InRange(none.Lines[0].GetProperty("tokens").GetInt32(), 2, 3);
    }
}
