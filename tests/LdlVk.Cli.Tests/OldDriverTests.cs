using System.Diagnostics;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>
/// Drivers that cannot run the kernels, given to the real loader in a process of its own: the error says what is wrong, of which card, and
/// what to do; where no card is asked for, the CPU scores and the reason is said.
/// </summary>
public sealed class OldDriverTests : IDisposable
{
    private const string Mesa = "/usr/share/vulkan/icd.d/lvp_icd.json";

    private static readonly string[] Score = ["score", "--model", Cli.Mini, "--prompt", "a", "--response", "b"];

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("1.0", "Old Card offers Vulkan 1.0, and 1.2 is needed; update its driver")]
    [InlineData("1.1", "Old Card offers Vulkan 1.1, and 1.2 is needed; update its driver")]
    [InlineData("features", "Old Card has no buffer device addresses; update its driver")]
    [InlineData("queue", "Old Card has no queue that computes")]
    public async Task A_card_that_cannot_run_the_kernels_is_named_with_the_reason(string lacks, string reason)
    {
        Dictionary<string, string> environment = await OldDriver(lacks);
        (await Cli.RunProcessAsync(environment, [.. Score, "--device", "vulkan"])).Fails(2, $"There is no device 'vulkan' ({reason}). Here are: cpu (");
        Outcome auto = await Cli.RunProcessAsync(environment, Score);
        Assert.Contains($"ldlvk: The CPU scores: {reason}.\n", auto.Error, StringComparison.Ordinal);
        Assert.Equal((0, 1), (auto.Code, auto.Lines.Length));
    }

    /// <summary>As in an image with Mesa's drivers: its software driver is there too, and would hide the card.</summary>
    [Fact]
    public async Task A_software_driver_does_not_hide_the_reason()
    {
        const string Reason = "Old Card offers Vulkan 1.1, and 1.2 is needed; update its driver";
        Dictionary<string, string> environment = await OldDriver("1.1", Mesa);
        Outcome devices = await Cli.RunProcessAsync(environment, "devices"), json = await Cli.RunProcessAsync(environment, "devices", "--json");
        Assert.Contains($"Not listed: {Reason}.", devices.Out, StringComparison.Ordinal);
        Assert.Contains("--device auto begins with cpu.", devices.Out, StringComparison.Ordinal);
        Assert.Contains($"\"why_no_card\": \"{Reason}\"", json.Out, StringComparison.Ordinal);
        Outcome auto = await Cli.RunProcessAsync(environment, Score), named = await Cli.RunProcessAsync(environment, [.. Score, "--device", "vulkan"]);
        Assert.Contains($"ldlvk: The CPU scores: {Reason}.\n", auto.Error, StringComparison.Ordinal);
        Assert.Contains($"ldlvk: A software driver scores: {Reason}.\n", named.Error, StringComparison.Ordinal);
        Assert.Equal((0, 0), (auto.Code, named.Code));
        (await Cli.RunProcessAsync(environment, [.. Score, "--device", "vulkan:1"])).Fails(2, $"There is no device 'vulkan:1' ({Reason})");
        foreach (string[] meant in (string[][])[["--device", "cpu"], ["--quiet"]])
            Assert.DoesNotContain(Reason, (await Cli.RunProcessAsync(environment, [.. Score, .. meant])).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_does_not_start_on_a_card_that_cannot_run_the_kernels()
    {
        Dictionary<string, string> environment = await OldDriver("1.1");
        string[] serve = ["serve", "--model", Cli.Mini, "--urls", "http://127.0.0.1:0"];
        (await Cli.RunProcessAsync(environment, [.. serve, "--device", "vulkan"])).Fails(2, "Old Card offers Vulkan 1.1, and 1.2 is needed; update its driver");
        using Process process = Cli.Start(environment, serve);
        try
        {
            string? line;
            do line = await process.StandardError.ReadLineAsync().WaitAsync(TimeSpan.FromMinutes(1));
            while (line?.Contains("The CPU scores: Old Card offers Vulkan 1.1", StringComparison.Ordinal) == false);
            Assert.NotNull(line);
        }
        finally
        {
            process.Kill();
        }
    }

    /// <summary>What the variable names is not there, is no description, or describes a driver that is not there or has no device.</summary>
    [Theory]
    [InlineData("absent.json", null, "no usable driver")]
    [InlineData("broken.json", "{\"file_format", "correct VK_DRIVER_FILES")]
    [InlineData("nolibrary.json", "{\"file_format_version\":\"1.0.0\",\"ICD\":{\"library_path\":\"/nonexistent.so\",\"api_version\":\"1.3.0\"}}", "no usable driver")]
    [InlineData("nodevice.json", "", "no usable driver")]
    public async Task A_driver_that_is_not_there_or_broken_is_said_with_the_way_on(string name, string? content, string words)
    {
        Dictionary<string, string> environment = await OldDriver("device");
        if (content is null) environment["VK_DRIVER_FILES"] = _folder[name];
        else if (content.Length > 0) File.WriteAllText(environment["VK_DRIVER_FILES"] = _folder[name], content);
        string file = environment["VK_DRIVER_FILES"];
        (await Cli.RunProcessAsync(environment, [.. Score, "--device", "vulkan"])).Fails(
            2, "There is no device 'vulkan' (", words, $"correct VK_DRIVER_FILES, which is {file}, or unset it", "VK_LOADER_DEBUG=error,warn", "Here are: cpu (");
        Outcome auto = await Cli.RunProcessAsync(environment, Score);
        Assert.Equal((0, 1), (auto.Code, auto.Lines.Length));
    }

    /// <summary>The variables with which the loader finds the driver, and others if they are given.</summary>
    private async Task<Dictionary<string, string>> OldDriver(string lacks, params string[] others)
    {
        if (!OperatingSystem.IsLinux() || !File.Exists(Mesa)) Assert.Skip("The driver wraps Mesa's llvmpipe, which is not here.");
        if (!File.Exists("/usr/bin/cc")) Assert.Skip("The driver is compiled by cc, which is not here.");
        string library = _folder["old_driver.so"], description = _folder["old_driver.json"];
        using Process compiler = Process.Start("/usr/bin/cc", ["-shared", "-fPIC", "-o", library, Repository.Path("tests", "data", "drivers", "old_driver.c"), "-ldl"]);
        await compiler.WaitForExitAsync();
        Assert.Equal(0, compiler.ExitCode);
        string version = lacks.StartsWith("1.", StringComparison.Ordinal) ? lacks : "1.3";
        File.WriteAllText(description, $"{{\"file_format_version\":\"1.0.0\",\"ICD\":{{\"library_path\":\"{library}\",\"api_version\":\"{version}.0\"}}}}");
        string files = string.Join(':', [description, .. others]);
        return new() { ["VK_DRIVER_FILES"] = files, ["VK_ICD_FILENAMES"] = files, ["OLD_DRIVER"] = lacks, ["LDLVK_DEBUG"] = "0" };
    }
}
