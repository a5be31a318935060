using System.Text.Json;
using LdlVk.Vulkan;

namespace LdlVk.Cli.Tests;

[Trait("Duration", "Long")]
public class BenchTests
{
    private const string Tiny = "hidden=64,layers=2,heads=2,kv-heads=1,head-dim=32,ffn=96,vocab=100";

    private static readonly string[] Fast = ["bench", "--shape", Tiny, "--device", "cpu", "--runs", "2"];

    [Theory]
    [InlineData("--shape gemma4: \"gemma4\" is no NAME=NUMBER. There are peer8, gemma2-27b, gemma3-12b, llama3-8b, llama3-70b, mistral-7b, qwen3-8b, hidden=", "--shape", "gemma4")]
    [InlineData("--shape hidden=0: hidden is a whole number from 1 to 1048576", "--shape", "hidden=0")]
    [InlineData("there is no depth", "--shape", "depth=3")]
    [InlineData("3 kv-heads do not divide 8 heads", "--shape", "kv-heads=3")]
    [InlineData("head-dim must be even", "--shape", "head-dim=3")]
    [InlineData("--layers 0: give a whole number from 1 to 1000", "--layers", "0")]
    [InlineData("--runs many: give a whole number", "--runs", "many")]
    [InlineData("--tokens 0: \"0\" is not N, with whole numbers from 1", "--tokens", "0")]
    [InlineData("--tokens 12,x: \"x\" is not N", "--tokens", "12,x")]
    [InlineData("--tokens 9000: \"9000\" is longer than the model's 8192 positions", "--tokens", "9000")]
    [InlineData("--batch 512: \"512\" is not TEXTSxN", "--batch", "512")]
    [InlineData("--batch 5000x1: 5000 texts are more than the 4096", "--batch", "5000x1")]
    [InlineData("--best-of 16x1000: \"16x1000\" is not ANSWERSxPROMPT+ANSWER", "--best-of", "16x1000")]
    [InlineData("\"2x8000+200\" is longer than the model's 8192 positions", "--best-of", "2x8000+200")]
    [InlineData("--weights int3: there is only fp32, fp16, int8, int4", "--weights", "fp16,int3")]
    [InlineData("--compute int8 multiplies int8 or int4 weights, not fp16", "--weights", "int8,fp16", "--compute", "int8")]
    [InlineData("--compute fp16x multiplies fp16, int8 or int4 weights, not fp32", "--weights", "fp32", "--compute", "fp16x")]
    [InlineData("There is no device 'npu'", "--device", "npu")]
    [InlineData("There is no folder /no/such", "--model", "/no/such")]
    [InlineData("leave out --shape and --layers", "--model", "MINI", "--layers", "2")]
    [InlineData("--batch-tokens 0: give a whole number", "--batch-tokens", "0")]
    [InlineData("--memory lots: \"lots\" is not a size", "--memory", "lots")]
    [InlineData("--predict gpu: no such card is known. There are RTX 2060, ", "--predict", "gpu")]
    [InlineData("--predict RTX: several cards have that in their names", "--predict", "RTX")]
    [InlineData("--device changes nothing with --predict", "--predict", "H100", "--device", "cpu")]
    [InlineData("Apple M1 Max has no instruction for int8 products", "--predict", "Apple M1 Max", "--weights", "int8", "--compute", "int8")]
    [InlineData("RX 6800 has no matrix units that are used", "--predict", "RX 6800", "--compute", "fp16x")]
    [InlineData("--memory has several values", "--shape", Tiny, "--device", "cpu", "--memory", "1GiB,1GiB")]
    public async Task A_wrong_call_exits_with_2_and_one_line(string message, params string[] args) =>
        (await Cli.RunAsync(["bench", .. args.Select(a => a == "MINI" ? Cli.Mini : a)])).Fails(2, message);

    [Fact]
    public async Task A_card_that_is_not_here_is_predicted()
    {
        Outcome list = await Cli.RunAsync("bench", "--predict", "list");
        Assert.Equal((0, ""), (list.Code, list.Error));
        Assert.True(list.Out.Split('\n').Count(line => line.Contains("GB/s", StringComparison.Ordinal)) >= 14, list.Out);
        Outcome words = await Cli.RunAsync("bench", "--predict", "rtx 4090", "--weights", "fp16,int4");
        Assert.Equal((0, ""), (words.Code, words.Error));
        Assert.Contains("gemma2-27b, fp16 weights, 128 tokens: ", words.Out, StringComparison.Ordinal);
        Assert.Contains("of 46 layers streamed", words.Out, StringComparison.Ordinal);
        Assert.Contains("all layers on the card", words.Out, StringComparison.Ordinal);
        Assert.Contains("Assumed: ", words.Out, StringComparison.Ordinal);
        Outcome lines = await Cli.RunAsync("bench", "--predict", "H100", "--shape", "qwen3-8b", "--batch", "4x512", "--json");
        Assert.Equal((0, ""), (lines.Code, lines.Error));
        JsonElement line = Assert.Single(lines.Lines);
        Assert.Equal(("H100", "qwen3-8b", 0), (line.GetProperty("predicted_for").GetString(), line.GetProperty("shape").GetString(), line.GetProperty("streamed_layers").GetInt32()));
        Assert.InRange(line.GetProperty("predicted_tokens_per_second").GetDouble(), 1e3, 1e6);
    }

    [Fact]
    public async Task A_model_too_large_says_what_it_needs() =>
        (await Cli.RunAsync("bench", "--shape", "gemma2-27b", "--layers", "1000", "--device", "cpu")).Fails(1, "1000 layers", "fp16 weights", "Use fewer --layers");

    /// <summary>Layers that are streamed for want of memory are measured like others, within the limit.</summary>
    [Fact]
    public async Task Memory_is_a_limit()
    {
        const string Layers = "hidden=256,layers=12,heads=2,kv-heads=1,head-dim=128,ffn=1024,vocab=100";
        Outcome outcome = await Cli.RunAsync("bench", "--shape", Layers, "--device", "cpu", "--runs", "2", "--json", "--tokens", "8", "--weights", "int8", "--memory", "9MB");
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        Assert.InRange(Assert.Single(outcome.Lines).GetProperty("peak_device_bytes").GetInt64(), 1, 9_000_000);
        (await Cli.RunAsync("bench", "--shape", Layers, "--device", "cpu", "--tokens", "8", "--memory", "1MB")).Fails(1, "may use 1.0 MB (--memory)");
    }

    [Fact]
    public async Task Json_has_a_line_for_each_measurement()
    {
        Outcome outcome = await Cli.RunAsync([.. Fast, "--json", "--tokens", "5,40", "--batch", "3x7", "--best-of", "4x20+3", "--weights", "fp32,int8"]);
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        JsonElement[] lines = outcome.Lines;
        string[] formats = [.. Enumerable.Repeat("fp32", 5), .. Enumerable.Repeat("int8", 5)];
        Assert.Equal(formats, lines.Select(l => l.GetProperty("weights").GetString()));
        foreach (JsonElement[] five in lines.Chunk(5))
        {
            Assert.Equal([("text", 1, 5, 5), ("text", 1, 40, 40), ("batch", 3, 21, 21), ("best-of unshared", 4, 92, 92), ("best-of", 4, 92, 32)],
                five.Select(l => (l.GetProperty("scenario").GetString(), l.GetProperty("texts").GetInt32(), l.GetProperty("tokens").GetInt32(), l.GetProperty("rows").GetInt32())));
        }

        foreach (JsonElement line in lines)
        {
            Assert.Equal("cpu", line.GetProperty("device").GetString());
            Assert.Equal(2, line.GetProperty("layers").GetInt32());
            foreach (string positive in (string[])["tokens_per_second", "best_tokens_per_second", "tflops", "peak_tflops", "percent_of_peak", "gb_per_second",
                "copy_gb_per_second", "cold_start_seconds", "first_result_seconds", "peak_device_bytes", "peak_process_bytes", "device_seconds"])
                Assert.True(line.GetProperty(positive).GetDouble() > 0, positive);
            double[] seconds = [.. line.GetProperty("seconds").EnumerateArray().Select(s => s.GetDouble())];
            Assert.Equal(2, seconds.Length);
            double tokens = line.GetProperty("tokens").GetDouble();
            Assert.Equal(tokens / seconds.Average(), line.GetProperty("tokens_per_second").GetDouble(), tokens * 1e-6);
            Assert.Equal(tokens / seconds.Min(), line.GetProperty("best_tokens_per_second").GetDouble(), tokens * 1e-6);
            Assert.Equal(line.GetProperty("operations").GetDouble() / seconds.Average() / 1e12, line.GetProperty("tflops").GetDouble(), 1e-9);
            JsonElement[] ops = [.. line.GetProperty("ops").EnumerateArray()];
            Assert.Equal(line.GetProperty("operations").GetDouble(), ops.Sum(o => o.GetProperty("operations").GetDouble()));
            Assert.Equal(line.GetProperty("device_seconds").GetDouble(), ops.Sum(o => o.GetProperty("seconds").GetDouble()), 1e-6);
            Assert.Contains("mlp.gate_proj+mlp.up_proj", ops.Select(o => o.GetProperty("operand").GetString()));
        }
    }

    [Fact]
    public async Task Int8_compute_is_measured_as_such()
    {
        Outcome outcome = await Cli.RunAsync([.. Fast, "--json", "--tokens", "5", "--weights", "int8,int4", "--compute", "int8"]);
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        Assert.Equal(["int8", "int4"], outcome.Lines.Select(l => l.GetProperty("weights").GetString()));
        foreach (JsonElement line in outcome.Lines)
        {
            Assert.Equal("int8", line.GetProperty("compute").GetString());
            string?[] ops = [.. line.GetProperty("ops").EnumerateArray().Select(o => o.GetProperty("op").GetString())];
            Assert.Contains("Int8Linear", ops);
            Assert.DoesNotContain("Linear", ops);
        }
    }

    [Fact]
    public async Task People_get_a_table()
    {
        Outcome outcome = await Cli.RunAsync([.. Fast, "--tokens", "40", "--best-of", "4x20+3", "--layers", "1"]);
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        foreach (string words in (string[])["1 layer, 2 heads", "fp16 weights", "Yardsticks: ", "Cold start: ", "40 tokens: ", "tokens/s", "% of the product's", "Sharing the prompt: ", "2.88 by tokens (92 / 32)", "Peak memory: "])
            Assert.Contains(words, outcome.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_whole_model_is_measured_with_its_heads()
    {
        Outcome outcome = await Cli.RunAsync("bench", "--model", Cli.Mini, "--device", "cpu", "--tokens", "12", "--runs", "1", "--json");
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        JsonElement line = Assert.Single(outcome.Lines);
        Assert.Equal("ldl-mini", line.GetProperty("shape").GetString());
        Assert.Contains("LdlReadout", line.GetProperty("ops").EnumerateArray().Select(o => o.GetProperty("op").GetString()));
    }

    [Theory]
    [InlineData("--compute", "fp16")]
    [InlineData("--memory", "1GiB")]
    [InlineData("--runs", "3")]
    [InlineData("--tokens", "64")]
    [InlineData("--batch-tokens", "64")]
    public async Task Ops_take_no_flags_of_passes(string flag, string value)
    {
        Outcome outcome = await Cli.RunAsync("bench", "--shape", Tiny, "--device", "cpu", "--ops", flag, value);
        Assert.Equal(2, outcome.Code);
        Assert.Contains($"{flag} changes nothing with --ops", outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_op_by_itself()
    {
        Outcome outcome = await Cli.RunAsync("bench", "--shape", Tiny, "--device", "cpu", "--ops", "--json", "--weights", "fp16,int8");
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        // Five matrices and a gated pair in two formats, the five in 8-bit integers, nine other ops once (AddNorm with a norm and without), at five numbers of rows.
        Assert.Equal(5 * ((6 * 2) + 5 + 9), outcome.Lines.Length);
        Assert.All(outcome.Lines, l => Assert.True(l.GetProperty("seconds").GetDouble() > 0));
        JsonElement gate = outcome.Lines.Single(l => l.GetProperty("op").GetString() == "Linear" && l.GetProperty("operand").GetString() == "gate_proj" && l.GetProperty("weights").GetString() == "int8" && l.GetProperty("shape").GetString() == "128 × 96 × 64");
        Assert.Equal(2.0 * 128 * 96 * 64, gate.GetProperty("operations").GetDouble());
    }

    [Fact]
    public async Task Ops_say_why_sums_in_fp16_are_not_measured()
    {
        Outcome outcome = await Cli.RunAsync("bench", "--shape", Tiny, "--device", "cpu", "--ops");
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        Assert.Matches("(?m)^  Products, fp16 sums +left out: the processor only simulates them$", outcome.Out);
    }

    [Fact]
    public async Task A_cold_start_on_Vulkan()
    {
        if (VulkanBackend.Enumerate(out string? why).Count == 0) Assert.Skip($"no Vulkan device: {why}");
        Outcome outcome = await Cli.RunAsync("bench", "--shape", Tiny, "--device", "vulkan", "--tokens", "9", "--runs", "1", "--json", "--cold");
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        JsonElement line = Assert.Single(outcome.Lines);
        Assert.False(line.GetProperty("kept_kernels").GetBoolean());
        Assert.StartsWith("vulkan:", line.GetProperty("device").GetString(), StringComparison.Ordinal);
    }
}
