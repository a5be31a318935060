using System.Text.Json;
using LdlVk.Testing;
using LdlVk.Vulkan;

namespace LdlVk.Cli.Tests;

[Trait("Duration", "Long")]
public class TuneTests
{
    private const string Tiny = "hidden=64,layers=2,heads=2,kv-heads=1,head-dim=32,ffn=96,vocab=100";

    [Theory]
    [InlineData("--shape gemma4: \"gemma4\" is no NAME=NUMBER", "--shape", "gemma4")]
    [InlineData("--weights int3: there is only fp32, fp16, int8", "--weights", "fp16,int3")]
    [InlineData("--rows 0: give whole numbers from 1 to 65536", "--rows", "16,0")]
    [InlineData("--rows x: give whole numbers", "--rows", "x")]
    [InlineData("--seconds -1: give whole numbers", "--seconds=-1")]
    [InlineData("There is no device 'npu'", "--device", "npu")]
    [InlineData("There is no folder /no/such", "--model", "/no/such")]
    [InlineData("--model is empty", "--model", "")]
    [InlineData("leave out --shape", "--model", "MINI", "--shape", "peer8")]
    [InlineData("--compute int8: there is only auto, fp16, fp16x", "--compute", "int8")]
    [InlineData("--compute fp16x multiplies fp16, int8 or int4 weights, not fp32", "--weights", "fp32", "--compute", "fp16x")]
    public async Task A_wrong_call_exits_with_2_and_one_line(string message, params string[] args) =>
        (await Cli.RunAsync(["tune", .. args.Select(a => a == "MINI" ? Cli.Mini : a)])).Fails(2, message);

    [Fact]
    public async Task The_processor_has_nothing_to_tune()
    {
        Outcome outcome = await Cli.RunAsync("tune", "--device", "cpu");
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        Assert.Matches(@"^cpu \(.*\) has nothing to tune\.\n$", outcome.Out);
        Assert.Equal(new Outcome(0, "", ""), await Cli.RunAsync("tune", "--device", "cpu", "--json"));
    }

    [Fact]
    public async Task Every_product_is_tuned_and_kept()
    {
        SkipWithoutVulkan();
        using TempFolder temp = new();
        Outcome outcome = await TuneAsync(temp["home"], "--shape", Tiny, "--weights", "fp16,int8", "--rows", "1,40", "--json");
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        // The four matrices of different shape (q and o are alike) and FFN's first, with 1 and 40 rows, in two formats.
        Assert.Equal(2 * 2 * 4, outcome.Lines.Length);
        Assert.All(outcome.Lines, line =>
        {
            Assert.StartsWith("vulkan:", line.GetProperty("device").GetString(), StringComparison.Ordinal);
            Assert.True(line.GetProperty("tried").GetInt32() > 1);
            Assert.InRange(line.GetProperty("seconds").GetDouble(), 1e-9, line.GetProperty("guess_seconds").GetDouble());
        });
        JsonElement[] kept = Kept(temp["home"]);
        Assert.Equal(outcome.Lines.Select(Key).Order(), kept.Select(Key).Order());

        static string Key(JsonElement e) => string.Join(' ', ((string[])["rows", "outputs", "inputs"]).Select(n => e.GetProperty(n).GetInt32())) + " " + e.GetProperty("tiles").GetString();
    }

    [Fact]
    public async Task People_get_a_table_and_time_may_be_short()
    {
        SkipWithoutVulkan();
        using TempFolder temp = new();
        Outcome outcome = await TuneAsync(temp["home"], "--model", Cli.Mini, "--rows", "16", "--seconds", "1");
        Assert.Equal((0, ""), (outcome.Code, outcome.Error));
        foreach (string words in (string[])["ldl-mini", "rows × outputs × inputs", "Linear fp16", "Saved in "]) Assert.Contains(words, outcome.Out, StringComparison.Ordinal);
        Assert.NotEmpty(Kept(temp["home"]));
    }

    [Fact]
    public async Task Choices_that_cannot_be_kept_are_an_error()
    {
        SkipWithoutVulkan();
        using TempFolder temp = new();
        temp.Write("file", "");
        Outcome outcome = await TuneAsync(temp["file"], "--shape", Tiny, "--rows", "16", "--json");
        Assert.Equal(1, outcome.Code);
        Assert.Matches("^ldlvk: The choices could not be saved in .*: make the folder writable\\.\n$", outcome.Error);
    }

    /// <summary>A score's bits do not depend on what was tuned, nor on what stands in the file.</summary>
    [Fact]
    public async Task Scores_are_the_same_tuned_or_not()
    {
        SkipWithoutVulkan();
        using TempFolder temp = new();
        string before = await ScoreAsync();
        Assert.Equal(0, (await TuneAsync(temp["home"], "--model", Cli.Mini, "--rows", "1,16,64")).Code);
        Assert.Equal(before, await ScoreAsync());
        string file = KeptIn(temp["home"]);
        string[] names = [.. Kept(temp["home"]).Select(c => c.GetProperty("tiles").GetString()!)];
        foreach (string name in (string[])["4x16", "16x8", "nonsense"])
        {
            await File.WriteAllTextAsync(file, names.Distinct().Aggregate(await File.ReadAllTextAsync(file), (text, old) => text.Replace($"\"tiles\": \"{old}\"", $"\"tiles\": \"{name}\"", StringComparison.Ordinal)));
            Assert.Equal(before, await ScoreAsync());
        }

        await File.WriteAllTextAsync(file, "{");
        Assert.Equal(before, await ScoreAsync());

        async Task<string> ScoreAsync()
        {
            Outcome outcome = await Cli.RunProcessAsync(Home(temp["home"]), "score", "--model", Cli.Mini, "--device", "vulkan", "--prompt", "What is the sea?", "--response", "Salt water.", "--details");
            Assert.Equal(0, outcome.Code);
            return outcome.Out;
        }
    }

    private static void SkipWithoutVulkan()
    {
        if (VulkanBackend.Enumerate(out string? why).Count == 0) Assert.Skip($"no Vulkan device: {why}");
    }

    private static Task<Outcome> TuneAsync(string home, params string[] args) => Cli.RunProcessAsync(Home(home), ["tune", "--device", "vulkan", .. args]);

    /// <summary>A cache folder of the test's own, whatever the system calls it.</summary>
    private static Dictionary<string, string> Home(string folder) => new() { ["XDG_DATA_HOME"] = folder, ["LOCALAPPDATA"] = folder };

    private static string KeptIn(string home) => Assert.Single(Directory.GetFiles(Path.Combine(home, "ldlvk"), "tiles-*.json"));

    private static JsonElement[] Kept(string home) => [.. Cli.Json(File.ReadAllText(KeptIn(home))).GetProperty("choices").EnumerateArray()];
}
