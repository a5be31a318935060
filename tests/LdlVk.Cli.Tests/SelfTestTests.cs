using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>ldlvk selftest: one screen, and a file to attach to a report.</summary>
public sealed class SelfTestTests
{
    [Fact]
    public async Task A_right_device_passes_on_one_screen()
    {
        using TempFolder folder = new();
        Outcome run = await Cli.RunAsync("selftest", "--device", "cpu", "--quick", "--output", folder["report.json"]);
        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Contains("portable: ", run.Out, StringComparison.Ordinal);
        Assert.EndsWith("cpu is right.\n", run.Out, StringComparison.Ordinal);
        Assert.InRange(run.Out.Split('\n').Length, 3, 24);

        JsonElement json = Cli.Json(File.ReadAllText(folder["report.json"]));
        Assert.True(json.GetProperty("right").GetBoolean());
        Assert.Equal(("cpu", true), (json.GetProperty("device").GetString(), json.GetProperty("quick").GetBoolean()));
        JsonElement kernels = json.GetProperty("kernels").EnumerateArray().Single();
        string[] ops = [.. kernels.GetProperty("checks").EnumerateArray().Select(check => check.GetProperty("op").GetString()!).Distinct().Order()];
        Assert.Equal(["Add", "AddNorm", "Attention", "GateMultiply", "GatedLinear", "GatherRows", "HeadNorm", "Int8Linear", "LdlReadout", "Linear", "NormAdd", "RmsNorm", "Rope", "Streaming"], ops);
        // A report names the machine, and nobody's files.
        Assert.DoesNotContain(Environment.UserName.Length > 3 ? Environment.UserName : "\0", json.GetRawText(), StringComparison.Ordinal);
        Assert.DoesNotContain(folder.Path, json.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Json_goes_to_standard_output_and_files_stay_what_they_are()
    {
        Outcome run = await Cli.RunAsync("selftest", "--device", "cpu", "--quick", "--json", "--quiet");
        Assert.Equal((0, ""), (run.Code, run.Error));
        Assert.Equal(0, Cli.Json(run.Out).GetProperty("kernels")[0].GetProperty("faults").GetInt32());
        Outcome standard = await Cli.RunAsync("selftest", "--device", "cpu", "--quick", "--output", "-", "--quiet");
        Assert.Equal((0, ""), (standard.Code, standard.Error));
        Assert.True(Cli.Json(standard.Out).GetProperty("right").GetBoolean());
        Assert.Contains("no device 'vulkan:99'", (await Cli.RunAsync("selftest", "--device", "vulkan:99")).Error, StringComparison.Ordinal);
    }
}
