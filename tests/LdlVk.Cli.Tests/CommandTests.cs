using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>compare, rank, tokenize, inspect, devices and demo.</summary>
[Trait("Wine", "Together")]
public class CommandTests
{
    private static readonly string[] Texts = ["--prompt", "What is meant by \"horse\"?", "--response", "I cannot help.", "--response", "An animal that people ride."];
    private static readonly string[] Model = ["--model", Cli.Mini, "--device", "cpu", "--quiet"];

    [Fact]
    public async Task Compare_gives_the_scores_of_score_and_their_probability()
    {
        double[] scores = [.. (await Cli.RunAsync(["score", .. Model, .. Texts])).Lines[0].GetProperty("scores").EnumerateArray().Select(e => e.GetDouble())];
        Outcome json = await Cli.RunAsync(["compare", .. Model, .. Texts, "--json"]);
        Assert.Equal(0, json.Code);
        Assert.Equal(scores, json.Lines[0].GetProperty("scores").EnumerateArray().Select(e => e.GetDouble()));
        Assert.Equal(1 / (1 + Math.Exp(scores[1] - scores[0])), json.Lines[0].GetProperty("probability_a_is_better").GetDouble(), 1e-12);
        Outcome text = await Cli.RunAsync(["compare", .. Model, .. Texts]);
        Assert.Matches(@"^A +-?\d+\.\d\d  I cannot help\.\nB +-?\d+\.\d\d  An animal that people ride\.\nP\(A > B\) = 0\.0\d+\n$", text.Out);
    }

    [Fact]
    public async Task Compare_names_the_response_that_cannot_be_scored() =>
        (await Cli.RunAsync(["compare", .. Model, "--prompt", "a", "--response", "b", "--response", string.Concat(Enumerable.Repeat("qj ", 9000))]))
        .Fails(3, "response 1 (counted from 0): the text has");

    [Fact]
    public async Task Rank_orders_by_score_and_keeps_going_after_a_bad_line()
    {
        const string Input = """
            {"id":"h","prompt":"What is meant by \"horse\"?","responses":["I cannot help.","An animal that people ride.","I cannot help."]}
            {"messages":[{"role":"user","content":"a"}]}
            {"prompt":"a","response":"b"}
            """;
        Outcome run = await Cli.RunWithInputAsync(Input, ["rank", .. Model, "--input", "-", "--json"]);
        Assert.Equal((3, 3), (run.Code, run.Lines.Length));
        JsonElement[] ranking = [.. run.Lines[0].GetProperty("ranking").EnumerateArray()];
        Assert.Equal([1, 0, 2], ranking.Select(r => r.GetProperty("index").GetInt32()));
        double[] scores = [.. ranking.Select(r => r.GetProperty("score").GetDouble())];
        Assert.True(scores[0] > scores[1] && scores[1] == scores[2]);
        Assert.Contains("needs prompt and responses", run.ErrorOf(1), StringComparison.Ordinal);
        Outcome text = await Cli.RunWithInputAsync(Input, ["rank", .. Model, "--input", "-"]);
        Assert.Matches("^\"h\"  What is meant by \"horse\"\\?\n   1\\. +\\S+  #1   An animal that people ride\\.\n   2\\. +\\S+  #0   I cannot help\\.\n", text.Out);
        Assert.Contains("error: to rank, the line needs", text.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rank_does_not_let_a_response_steer_the_terminal()
    {
        Outcome run = await Cli.RunAsync(["rank", .. Model, "--prompt", "a\u001b]0;x\u0007", "--response", "b\u001b[2Jc\r\nd [red]e[/]"]);
        Assert.Equal(0, run.Code);
        Assert.DoesNotContain('\u001b', run.Out);
        Assert.EndsWith("b [2Jc  d [red]e[/]\n", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tokenize_gives_the_reference_s_ids()
    {
        JsonElement[] goldens = [.. File.ReadLines(Repository.Path("tests", "data", "ldl-mini", "goldens.jsonl")).Select(Cli.Json)];
        string input = string.Concat(goldens.Select(g => $"{{\"messages\":{g.GetProperty("messages").GetRawText()}}}\n{{\"id\":\"t\",\"text\":{g.GetProperty("text").GetRawText()}}}\n"));
        using TempFolder folder = new();
        foreach (string file in (string[])["tokenizer.json", "tokenizer_config.json"]) File.Copy(Path.Combine(Cli.Mini, file), folder[file]);
        Outcome run = await Cli.RunWithInputAsync(input, "tokenize", "--model", folder.Path, "--input", "-");
        Assert.Equal((0, "", 2 * goldens.Length), (run.Code, run.Error, run.Lines.Length));
        for (int i = 0; i < goldens.Length; i++)
        {
            int[] expected = [.. goldens[i].GetProperty("token_ids").EnumerateArray().Select(e => e.GetInt32())];
            Assert.Equal(expected, run.Lines[2 * i].GetProperty("ids").EnumerateArray().Select(e => e.GetInt32()));
            Assert.Equal(expected, run.Lines[(2 * i) + 1].GetProperty("ids").EnumerateArray().Select(e => e.GetInt32()));
            Assert.False(run.Lines[2 * i].TryGetProperty("id", out _));
            Assert.Equal("t", run.Lines[(2 * i) + 1].GetProperty("id").GetString());
        }
    }

    [Fact]
    public async Task Tokenize_reports_bad_lines_in_their_place()
    {
        Outcome run = await Cli.RunWithInputAsync("{\"text\":1}\n{\"text\":\"\"}\n{\"messages\":[]}\n{\"text\":\"a\",\"messages\":[]}\nx\n", "tokenize", "--model", Cli.Mini, "--input", "-");
        Assert.Equal((3, 5), (run.Code, run.Lines.Length));
        Assert.Equal("text is the number 1, not a string.", run.ErrorOf(0));
        Assert.Equal(0, run.Lines[1].GetProperty("ids").GetArrayLength());
        Assert.Contains("no messages", run.ErrorOf(2), StringComparison.Ordinal);
        Assert.Contains("either text or messages", run.ErrorOf(3), StringComparison.Ordinal);
        Assert.Contains("not valid JSON", run.ErrorOf(4), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Inspect_counts_what_is_in_the_files()
    {
        Outcome run = await Cli.RunAsync("inspect", Cli.Mini, "--json");
        Assert.Equal((0, ""), (run.Code, run.Error));
        JsonElement json = Cli.Json(run.Out);
        // The safetensors file holds the backbone in bf16: two bytes a parameter, and a header.
        long bytes = new FileInfo(Path.Combine(Cli.Mini, "model.safetensors")).Length, header = BitConverter.ToInt64(File.ReadAllBytes(Path.Combine(Cli.Mini, "model.safetensors")), 0) + 8;
        Assert.Equal((bytes - header) / 2, json.GetProperty("backbone_parameters").GetInt64());
        // 256-128-128-220 and 256-128-128-22, with biases.
        Assert.Equal((2 * ((257 * 128) + (129 * 128))) + (129 * 220) + (129 * 22), json.GetProperty("head_parameters").GetInt64());
        Assert.Equal(("bf16", 22, 10, 4), (json.GetProperty("source_type").GetString(), json.GetProperty("attributes").GetInt32(), json.GetProperty("bins").GetInt32(), json.GetProperty("layers").GetInt32()));
        Assert.Equal(bytes, json.GetProperty("files").GetProperty("model.safetensors").GetInt64());
        JsonElement cpu = json.GetProperty("devices").EnumerateArray().Single(d => d.GetProperty("id").GetString() == "cpu");
        Assert.Equal("fp16", json.GetProperty("plan").GetProperty("weights").GetString());
        long[] sizes = [.. new[] { "fp32", "fp16", "int8", "int4" }.Select(format => cpu.GetProperty("weights").GetProperty(format).GetProperty("bytes").GetInt64())];
        Assert.Equal(sizes.OrderDescending(), sizes);
        Outcome text = await Cli.RunAsync("inspect", Cli.Mini);
        Assert.Contains("gemma2, from tokenizer_config.json", text.Out, StringComparison.Ordinal);
        Assert.Contains("fp16 weights, micro-batches of 4,096 tokens", text.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Inspect_says_what_does_not_fit()
    {
        // So many tokens at a time fit nowhere; the plan makes them fewer.
        JsonElement json = Cli.Json((await Cli.RunAsync("inspect", Cli.Mini, "--device", "cpu", "--json", "--batch-tokens", "2000000000")).Out);
        Assert.All(json.GetProperty("devices").EnumerateArray(), d => Assert.False(d.GetProperty("weights").GetProperty("int4").GetProperty("fits").GetBoolean()));
        Assert.InRange(json.GetProperty("plan").GetProperty("batch_tokens").GetInt32(), 1024, 1_000_000_000);
        Assert.Contains("for want of memory", json.GetProperty("plan").GetProperty("notes")[0].GetString(), StringComparison.Ordinal);
        Assert.Contains("does not fit", (await Cli.RunAsync("inspect", Cli.Mini, "--device", "cpu", "--batch-tokens", "2000000000")).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Devices_lists_the_processor()
    {
        Outcome run = await Cli.RunAsync("devices", "--json");
        Assert.Equal((0, ""), (run.Code, run.Error));
        JsonElement json = Cli.Json(run.Out), cpu = json.GetProperty("devices").EnumerateArray().Single(d => d.GetProperty("kind").GetString() == "cpu");
        Assert.Equal("cpu", cpu.GetProperty("id").GetString());
        Assert.True(cpu.GetProperty("memory_bytes").GetInt64() > 0);
        Assert.Contains("cpu       ", (await Cli.RunAsync("devices")).Out, StringComparison.Ordinal);
    }

    /// <summary>A choice that cannot be followed is an error of every command that opens a device, and no choice is lost on the way there.</summary>
    [Theory]
    [InlineData("score", "--model")]
    [InlineData("rank", "--model")]
    [InlineData("inspect", "")]
    [InlineData("bench", "--shape", "gemma2-27b")]
    [InlineData("tune", "--shape", "gemma2-27b")]
    public async Task Kernels_that_a_device_lacks_are_refused(string command, string model, string? shape = null)
    {
        string[] named = shape is not null ? [model, shape] : model.Length > 0 ? [model, Cli.Mini] : [Cli.Mini];
        string[] texts = command is "score" ? ["--prompt", "a", "--response", "b"] : command is "rank" ? ["--prompt", "a", "--response", "b", "--response", "c"] : [];
        Outcome run = await Cli.RunAsync([command, .. named, .. texts, "--device", "cpu", "--kernels", "matrix"]);
        Assert.Equal(ExitCode.WrongCall, run.Code);
        Assert.Contains("no matrix units that the kernels can use. Use --kernels portable, or another --device.", run.Error, StringComparison.Ordinal);
        Assert.Contains("--kernels all: there is only auto, portable, matrix.", (await Cli.RunAsync([command, .. named, .. texts, "--kernels", "all"])).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_demo_fits_80_columns_has_no_colors_in_a_pipe_and_ranks_sound_above_damaged()
    {
        Outcome run = await Cli.RunAsync("demo", "--device", "cpu", "--quiet");
        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.DoesNotContain('\u001b', run.Out);
        Assert.All(run.Out.Split('\n'), l => Assert.InRange(l.Length, 0, 80));
        string[] kinds = ["sound", "typing errors", "cut off", "refusal"];
        int[] places = [.. kinds.Select(k => run.Out.IndexOf($" {k} ", StringComparison.Ordinal))];
        Assert.All(places, p => Assert.True(p > 0));
        Assert.Equal(places.Order(), places);
        foreach (JsonElement name in Cli.Json(File.ReadAllText(Path.Combine(Cli.Mini, "labels.json"))).EnumerateArray())
            Assert.Matches($"\n{name.GetString()} +[+-]\\d\\.\\d\\d +\\d\\.\\d\\d ", run.Out);
        Assert.Contains("none of its weights", run.Out, StringComparison.Ordinal);
    }
}
