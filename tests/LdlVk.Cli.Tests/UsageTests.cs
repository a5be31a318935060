namespace LdlVk.Cli.Tests;

public class UsageTests
{
    [Theory]
    [InlineData("Option '--model' is required", "score")]
    [InlineData("There is no command frobnicate. See ldlvk --help.", "frobnicate")]
    [InlineData("There is no command scor. Did you mean score?", "scor", "--model", "MINI")]
    [InlineData("There is no flag --inptu of ldlvk score. Did you mean --input? See ldlvk score --help.", "score", "--model", "MINI", "--inptu", "x")]
    [InlineData("There is no flag --nonsense of ldlvk score. See", "score", "--nonsense")]
    [InlineData("Unrecognized command or argument 'a b'", "score", "--model", "MINI", "a b")]
    [InlineData("There is no flag --splits of ldlvk score. Did you mean --split?", "score", "--model", "MINI", "--splits", "2")]
    [InlineData("There is no flag --any-machin of ldlvk merge. Did you mean --any-machine?", "merge", "a.jsonl", "--any-machin")]
    [InlineData("There is no flag --forse of ldlvk pull. See", "pull", "a/b", "--forse")]
    [InlineData("There is no flag --jsn of ldlvk models. Did you mean --json?", "models", "--jsn")]
    [InlineData("There is no folder --jsn", "inspect", "--", "--jsn")]
    [InlineData("Give --prompt TEXT and --response TEXT, or --input", "score", "--model", "MINI")]
    [InlineData("Give --prompt TEXT and --response TEXT", "score", "--model", "MINI", "--prompt", "a")]
    [InlineData("with --prompt and --response, not both", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--input", "-")]
    [InlineData("There is no file /no/such for --input", "score", "--model", "MINI", "--input", "/no/such")]
    [InlineData("is a folder", "score", "--model", "MINI", "--input", "MINI")]
    [InlineData("--weights int3: there is only auto, fp32, fp16, int8, int4", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--weights", "int3")]
    [InlineData("--compute fast: there is only auto, fp16, fp16x, int8", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--compute", "fast")]
    [InlineData("--compute int8 multiplies int8 or int4 weights, not fp16", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--weights", "fp16", "--compute", "int8")]
    [InlineData("--compute fp16x multiplies fp16, int8 or int4 weights, not fp32", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--weights", "fp32", "--compute", "fp16x")]
    [InlineData("--heads int4: there is only fp32, fp16, int8", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--heads", "int4")]
    [InlineData("--heads auto: there is only fp32, fp16, int8", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--heads", "auto")]
    [InlineData("--embedding-scale 3: there is only", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--embedding-scale", "3")]
    [InlineData("--chat-template x: there is only auto, gemma2, gemma2-no-bos, llama3, llama3.1, none", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--chat-template", "x")]
    [InlineData("--batch-tokens 0: give a whole number", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--batch-tokens", "0")]
    [InlineData("--batch-tokens many: give a whole number", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--batch-tokens", "many")]
    [InlineData("There is no device 'npu'", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--device", "npu")]
    [InlineData("There is no device 'vulkan:99'", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--device", "vulkan:99")]
    [InlineData("there is no folder", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--output", "/no/such/file")]
    [InlineData("is not a file name", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--output", "/")]
    [InlineData("compare takes two responses, and 1 --response was given", "compare", "--model", "MINI", "--prompt", "a", "--response", "b")]
    [InlineData("There is no device 'npu'", "demo", "--device", "npu")]
    [InlineData("--trace takes one text", "score", "--model", "MINI", "--prompt", "a", "--response", "b", "--response", "c", "--trace", "/tmp/never")]
    [InlineData("There is no trace file /no/such", "trace", "/no/such", "/no/such")]
    [InlineData("--tolerance -1", "trace", "a", "b", "--tolerance=-1")]
    [InlineData("neither tokenizer.json nor tokenizer.model", "tokenize", "--model", "/", "--input", "-")]
    public async Task A_wrong_call_exits_with_2_and_one_line(string message, params string[] args) =>
        (await Cli.RunAsync([.. args.Select(a => a == "MINI" ? Cli.Mini : a)])).Fails(2, message);

    [Fact]
    public async Task No_arguments_show_the_help()
    {
        Outcome help = await Cli.RunAsync();
        Assert.Equal((0, ""), (help.Code, help.Error));
        Assert.Contains("ldlvk [command] [options]", help.Out, StringComparison.Ordinal);
        Assert.Equal(help, await Cli.RunAsync("--help"));
    }

    [Fact]
    public async Task Every_flag_of_every_command_is_explained()
    {
        foreach (string command in (string[])["demo", "devices", "inspect", "score", "compare", "rank", "eval", "fidelity", "tokenize", "trace", "bench", "tune"])
        {
            Outcome help = await Cli.RunAsync(command, "--help");
            Assert.Equal((0, ""), (help.Code, help.Error));
            foreach (string flag in help.Out.Split('\n').Where(l => l.StartsWith("  --", StringComparison.Ordinal))) Assert.Matches(@"^  --\S+.*  \S+", flag);
        }

        Assert.Contains("{\"id\"?, \"prompt\", \"responses\": […]}", (await Cli.RunAsync("score", "--help")).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_version() => Assert.Matches(@"^ldlvk \d+\.\d+\.\d+", (await Cli.RunAsync("--version")).Out);

    [Fact]
    public async Task A_stack_trace_comes_only_on_request()
    {
        Outcome plain = await Cli.RunProcessAsync(null, "inspect", "/no/such"), debug = await Cli.RunProcessAsync(new Dictionary<string, string> { ["LDLVK_DEBUG"] = "1" }, "inspect", "/no/such");
        plain.Fails(2, "There is no folder /no/such");
        Assert.Contains("   at LdlVk.", debug.Error, StringComparison.Ordinal);
    }
}
