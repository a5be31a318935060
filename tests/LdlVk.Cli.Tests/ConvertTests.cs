using System.Diagnostics;
using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

[Trait("Duration", "Long")]
public class ConvertTests
{
    private const string Good = """{"prompt":"a","response":"b"}""" + "\n";

    [Theory]
    [InlineData("fp16")]
    [InlineData("int8")]
    [InlineData("int4")]
    public async Task The_new_folder_scores_as_the_old_one(string weights)
    {
        using TempFolder temp = new();
        Outcome converted = await Cli.RunAsync("convert", Cli.Mini, temp["m"], "--weights", weights, "--json");
        Assert.Equal((0, ""), (converted.Code, converted.Error));
        JsonElement json = Cli.Json(converted.Out);
        Assert.Equal((temp["m"], weights), (json.GetProperty("folder").GetString(), json.GetProperty("weights").GetString()));
        Assert.Equal(json.GetProperty("bytes").GetInt64(), json.GetProperty("bytes_written").GetInt64());
        Assert.True(json.GetProperty("seconds").GetDouble() > 0);
        Assert.False(json.TryGetProperty("disk_bytes_per_second", out _));

        Outcome want = await Cli.ScoreAsync(Good, "--weights", weights, "--details");
        Outcome got = await Cli.RunWithInputAsync(Good, "score", "--model", temp["m"], "--device", "cpu", "--input", "-", "--details");
        Assert.Equal((0, want.Out), (got.Code, got.Out));
        Assert.Contains($"{weights} weights", got.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Again_it_compares_checksums_and_writes_nothing()
    {
        using TempFolder temp = new();
        Outcome first = await Cli.RunAsync("convert", Cli.Mini, temp["m"], "--weights", "int4", "--measure-disk");
        Assert.Equal(0, first.Code);
        Assert.Matches(@"int4 weights, 4\.\d MB\n4\.\d MB written in \d+\.\d s, \d+\.\d\d GB/s\nA plain write of as many bytes: \d+\.\d\d GB/s; convert reached \d+ ?% of that\.\n$", first.Out);
        // What the disk was measured with is gone.
        Assert.DoesNotContain(Directory.GetFileSystemEntries(temp["m"]), path => Path.GetFileName(path)[0] == '.');
        Outcome again = await Cli.RunAsync("convert", Cli.Mini, temp["m"], "--weights", "int4", "--measure-disk");
        Assert.Equal((0, ""), (again.Code, again.Error));
        Assert.EndsWith("It was already complete, and all checksums match.\n", again.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Inspect_says_what_it_is()
    {
        using TempFolder temp = new();
        await Cli.RunAsync("convert", Cli.Mini, temp["m"], "--weights", "int8");
        Outcome text = await Cli.RunAsync("inspect", temp["m"]);
        Assert.Contains("converted     by ldlvk convert to int8 weights in groups of 32 with fp16 scales; no other --weights\n", text.Out, StringComparison.Ordinal);
        Assert.Contains("source type   bf16\n", text.Out, StringComparison.Ordinal);
        JsonElement json = Cli.Json((await Cli.RunAsync("inspect", temp["m"], "--json")).Out);
        Assert.Equal("int8", json.GetProperty("converted_to").GetString());
        foreach (JsonElement device in json.GetProperty("devices").EnumerateArray())
            Assert.Equal(["int8"], device.GetProperty("weights").EnumerateObject().Select(p => p.Name));
        Assert.Equal(JsonValueKind.Null, Cli.Json((await Cli.RunAsync("inspect", Cli.Mini, "--json")).Out).GetProperty("converted_to").ValueKind);
    }

    [Fact]
    public async Task Wrong_calls_say_what_is_wrong()
    {
        using TempFolder temp = new();
        (await Cli.RunAsync("convert", Cli.Mini, temp["m"])).Fails(2, "--weights");
        (await Cli.RunAsync("convert", Cli.Mini, temp["m"], "--weights", "fp32")).Fails(2, "fp32", "fp16, int8, int4");
        (await Cli.RunAsync("convert", Cli.Mini, "--weights", "int8")).Fails(2, "argument missing", "convert --help");
        (await Cli.RunAsync("convert", Cli.Mini, "", "--weights", "int8")).Fails(2, "DST is empty");
        (await Cli.RunAsync("convert", temp["nothing"], temp["m"], "--weights", "int8")).Fails(2, "no folder", temp["nothing"]);
        (await Cli.RunAsync("convert", Cli.Mini, Cli.Mini, "--weights", "int8")).Fails(2, "into itself");
        temp.Write("x", "");
        (await Cli.RunAsync("convert", Cli.Mini, temp.Path, "--weights", "int8")).Fails(2, "not empty", "x", "new folder");
        Assert.Equal(["x"], temp.Names);

        await Cli.RunAsync("convert", Cli.Mini, temp["m"], "--weights", "int8");
        (await Cli.RunAsync("convert", temp["m"], temp["n"], "--weights", "int4")).Fails(2, "converted to int8", "original");
        (await Cli.RunAsync("score", "--model", temp["m"], "--device", "cpu", "--weights", "fp16", "--prompt", "a", "--response", "b")).Fails(2, "--weights int8 or auto");
        File.Delete(Path.Combine(temp["m"], "model.safetensors.index.json"));
        (await Cli.RunAsync("score", "--model", temp["m"], "--device", "cpu", "--prompt", "a", "--response", "b")).Fails(2, "unfinished conversion", "ldlvk convert");
    }

    [Fact]
    public async Task A_folder_that_cannot_be_written_is_the_machine_s_failure()
    {
        if (OperatingSystem.IsWindows() || !Directory.Exists("/proc/self")) Assert.Skip("Needs a folder where nobody may write, as /proc.");
        (await Cli.RunAsync("convert", Cli.Mini, "/proc/ldlvk", "--weights", "int8")).Fails(1, "/proc/ldlvk");
    }

    /// <summary>Killed outright at several moments; what that leaves of every byte is in InterruptedTests.</summary>
    [Fact]
    public async Task Killed_it_goes_on_where_it_was()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Signals are sent with kill.");
        using TempFolder temp = new();
        SyntheticCheckpoint.Write(temp["src"], new SyntheticShape(512, 6, 4, 2, 128, 4096, 1024, 64));
        Outcome whole = await Cli.RunAsync("convert", temp["src"], temp["whole"], "--weights", "int4");
        Assert.Equal(0, whole.Code);
        long bytes = Size(temp["whole"]);
        int killed = 0;
        for (int part = 1; part <= 3; part++)
        {
            using Process process = Cli.Start(null, "convert", temp["src"], temp["dst"], "--weights", "int4");
            while (!process.HasExited && Size(temp["dst"]) < bytes * part / 4) await Task.Delay(1);
            process.Kill();
            await process.WaitForExitAsync();
            if (process.ExitCode == 0) break;
            killed++;
            (await Cli.RunAsync("score", "--model", temp["dst"], "--device", "cpu", "--prompt", "a", "--response", "b")).Fails(2, "unfinished conversion");
        }
        Assert.True(killed > 0);
        Outcome rest = await Cli.RunAsync("convert", temp["src"], temp["dst"], "--weights", "int4");
        Assert.Equal(0, rest.Code);
        foreach (string file in Directory.GetFiles(temp["whole"])) Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(temp["dst"], Path.GetFileName(file))));

        static long Size(string folder) => Directory.Exists(folder) ? new DirectoryInfo(folder).EnumerateFiles().Sum(f => f.Exists ? f.Length : 0) : 0;
    }

    [Fact]
    public async Task Ctrl_C_says_how_to_go_on()
    {
        using TempFolder temp = new();
        using CancellationTokenSource stop = new();
        await stop.CancelAsync();
        using StringWriter error = new();
        Output.Terminal terminal = new() { In = Stream.Null, Out = Stream.Null, Error = error };
        Assert.Equal(130, await CommandLine.RunAsync(["convert", Cli.Mini, temp["m"], "--weights", "int8"], terminal, stop.Token));
        Assert.Equal("ldlvk: run the same command again to continue.\nldlvk: stopped.\n", Outcome.Text(error.ToString()));
    }
}
