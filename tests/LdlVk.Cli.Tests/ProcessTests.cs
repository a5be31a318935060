using System.Diagnostics;
using System.Runtime.Intrinsics.X86;
using LdlVk.Testing;
using LdlVk.Vulkan;

namespace LdlVk.Cli.Tests;

/// <summary>What needs a process of its own: signals, pipes, full disks, the Vulkan loader.</summary>
[Trait("Wine", "Together")]
public class ProcessTests
{
    private const string Good = """{"prompt":"a","response":"b"}""";

    private static readonly Dictionary<string, string> NoVulkan = new() { ["VK_DRIVER_FILES"] = "/nonexistent.json", ["VK_ICD_FILENAMES"] = "/nonexistent.json", ["LDLVK_DEBUG"] = "0" };

    [Theory]
    [InlineData("INT", 130)]
    [InlineData("TERM", 143)]
    [InlineData("HUP", 129)]
    public async Task Interrupted_while_it_waits_for_input_it_leaves_no_file(string signal, int code)
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Signals are sent with kill.");
        if (signal == "HUP" && IgnoresHangUp) Assert.Skip("SIGHUP is ignored by these tests, as under nohup, and so by what they start.");
        using TempFolder temp = new();
        using Process process = Cli.Start(null, "score", "--model", Cli.Mini, "--device", "cpu", "--input", "-", "--output", temp["out.jsonl"]);
        try
        {
            await process.StandardInput.WriteLineAsync(Good);
            await process.StandardInput.FlushAsync();
            // The temporary file is made before the model is loaded; after it the process listens to signals for sure.
            for (int i = 0; i < 200 && temp.Names.Length == 0; i++) await Task.Delay(50);
            Assert.Matches(@"^\.out\.jsonl\.[0-9a-f]+\.tmp$", Assert.Single(temp.Names));
            // The shell's own kill: the program of that name is not on every machine.
            await Process.Start("/bin/sh", ["-c", $"kill -{signal} {process.Id}"]).WaitForExitAsync();
            await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(20));
            Assert.Equal((code, "ldlvk: stopped.\n"), (process.ExitCode, await process.StandardError.ReadToEndAsync()));
            Assert.Empty(temp.Names);
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }

    /// <summary>A closed terminal sends its signal twice, by the shell and by the kernel: what is under way still ends in order.</summary>
    [Fact]
    public async Task A_second_signal_of_a_closed_terminal_does_not_cut_off_what_is_under_way()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Signals are sent with kill.");
        if (IgnoresHangUp) Assert.Skip("SIGHUP is ignored by these tests, as under nohup, and so by what they start.");
        using Process process = Cli.Start(
            null, "serve", "--model", Cli.Mini, "--device", "cpu", "--urls", "http://127.0.0.1:0", "--drain-delay-seconds", "2");
        try
        {
            while (await process.StandardError.ReadLineAsync() is { } line && !line.Contains(" at http://", StringComparison.Ordinal)) { }
            ProcessStartInfo twice = new("/bin/sh", ["-c", $"kill -HUP {process.Id}; sleep 0.5; kill -HUP {process.Id}"]);
            await Process.Start(twice)!.WaitForExitAsync();
            await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(20));
            Assert.Equal(0, process.ExitCode);
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }

    private static bool IgnoresHangUp => File.Exists("/proc/self/status") && File.ReadLines("/proc/self/status")
        .Any(line => line.StartsWith("SigIgn:", StringComparison.Ordinal) && (Convert.ToUInt64(line.Split('\t')[^1], 16) & 1) != 0);

    /// <summary>
    /// .NET reports no vectors of 512 bits on processors whose clock falls with them (Skylake-SP, Cascade Lake, Cooper Lake), as where this
    /// is set. Products of matrices take them.
    /// </summary>
    [Fact]
    public async Task The_CPU_device_takes_wide_vectors_where_NET_prefers_narrow_ones()
    {
        if (!Avx512DQ.IsSupported) Assert.Skip("This processor has no vectors of 512 bits (AVX-512).");
        Dictionary<string, string> environment = new(NoVulkan) { ["DOTNET_PreferredVectorBitWidth"] = "256" };
        Assert.Contains("512-bit vectors", (await Cli.RunProcessAsync(environment, "devices")).Out);
    }

    [Fact]
    public async Task A_reader_that_goes_away_ends_the_run_quietly()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Pipes of a Unix shell.");
        using TempFolder temp = new();
        string input = temp.Write("in.jsonl", string.Concat(Enumerable.Repeat(Good + "\n", 200_000)));
        ProcessStartInfo shell = new("bash") { RedirectStandardOutput = true, RedirectStandardError = true };
        shell.ArgumentList.Add("-c");
        shell.ArgumentList.Add($"dotnet '{Path.Combine(AppContext.BaseDirectory, "LdlVk.Cli.dll")}' score --model '{Cli.Mini}' --device cpu --input '{input}' | head -2; echo code ${{PIPESTATUS[0]}}");
        using Process process = Process.Start(shell)!;
        string output = await process.StandardOutput.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal("", await process.StandardError.ReadToEndAsync());
        Assert.Matches("^(\\{\"id\":[01],.*\\}\n){2}code 0\n$", output);
    }

    [Fact]
    public async Task A_full_disk_is_the_machine_s_failure()
    {
        if (!File.Exists("/dev/full")) Assert.Skip("Needs /dev/full.");
        Outcome run = await Cli.RunProcessAsync(null, "score", "--model", Cli.Mini, "--device", "cpu", "--prompt", "a", "--response", "b", "--output", "/dev/full");
        run.Fails(1, "No space left on device");
    }

    /// <summary>A terminal that is closed ends nothing that was started with nohup.</summary>
    [Fact]
    public async Task What_ignores_the_end_of_its_terminal_goes_on()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Signals are sent with kill.");
        using TempFolder temp = new();
        string program = $"dotnet '{Path.Combine(AppContext.BaseDirectory, "LdlVk.Cli.dll")}' score --model '{Cli.Mini}' --device cpu --input - --output '{temp["out.jsonl"]}'";
        using Process process = Process.Start(new ProcessStartInfo("bash", ["-c", $"trap '' HUP; exec {program}"]) { RedirectStandardInput = true, RedirectStandardError = true })!;
        try
        {
            for (int i = 0; i < 200 && temp.Names.Length == 0; i++) await Task.Delay(50);
            await Process.Start("/bin/sh", ["-c", $"kill -HUP {process.Id}"]).WaitForExitAsync();
            await process.StandardInput.WriteLineAsync(Good);
            process.StandardInput.Close();
            await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
            Assert.Equal((0, 1), (process.ExitCode, File.ReadLines(temp["out.jsonl"]).Count()));
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }

    /// <summary>A limit on the size of files ends the writing as a full disk does.</summary>
    [Fact]
    public async Task A_full_disk_keeps_what_it_has_for_the_next_run_and_says_so()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Limits of a Unix shell.");
        using TempFolder temp = new();
        // On one processor, so that the work before the limit takes seconds: the journal gets an entry about every second.
        string text = string.Concat(Enumerable.Repeat("The sea is deep and salt. ", 30));
        string input = temp.Write("in.jsonl", string.Concat(Enumerable.Range(0, 1_000).Select(i => $"{{\"prompt\":\"a {i}\",\"response\":\"{text}\"}}\n")));
        string score = $"dotnet '{Path.Combine(AppContext.BaseDirectory, "LdlVk.Cli.dll")}' score --model '{Cli.Mini}' --device cpu --input '{input}' --output '{temp["out.jsonl"]}' --resume --quiet";
        // In blocks of 1,024 bytes. The runtime maps its code twice, from a file that is larger, unless it is told not to.
        string limited = $"export DOTNET_EnableWriteXorExecute=0 DOTNET_PROCESSOR_COUNT=1; trap '' XFSZ; ulimit -f 16; {score} 2>&1; echo code $?";
        ProcessStartInfo shell = new("bash", ["-c", limited]) { RedirectStandardOutput = true };
        using Process process = Process.Start(shell)!;
        string output = await process.StandardOutput.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(120));
        Assert.EndsWith("code 1\n", output, StringComparison.Ordinal);
        Assert.Matches(@"the first [\d,]+ results are kept in .*out\.jsonl\.partial: the same command with --resume continues", output);
    }

    /// <summary>A log on a full disk: what cannot be said does not end the run.</summary>
    [Theory]
    [InlineData("--response b", "\"score\":", 0)]
    [InlineData("", "", 2)]
    public async Task A_full_disk_under_the_messages_changes_neither_results_nor_exit_codes(string response, string result, int code)
    {
        if (!File.Exists("/dev/full")) Assert.Skip("Needs /dev/full.");
        string program = $"dotnet '{Path.Combine(AppContext.BaseDirectory, "LdlVk.Cli.dll")}' score --model '{Cli.Mini}' --device cpu --prompt a {response}";
        ProcessStartInfo shell = new("bash", ["-c", $"{program} 2>/dev/full; echo code $?"]) { RedirectStandardOutput = true };
        using Process process = Process.Start(shell)!;
        string output = await process.StandardOutput.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(30));
        Assert.EndsWith($"code {code}\n", output, StringComparison.Ordinal);
        Assert.Contains(result, output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_Vulkan_driver_the_CPU_works_and_vulkan_says_why_not()
    {
        Outcome devices = await Cli.RunProcessAsync(NoVulkan, "devices");
        Assert.Equal((0, ""), (devices.Code, devices.Error));
        Assert.Contains("No Vulkan device: ", devices.Out, StringComparison.Ordinal);
        Assert.Contains("--device auto begins with cpu.", devices.Out, StringComparison.Ordinal);
        Outcome named = await Cli.RunProcessAsync(NoVulkan, "score", "--model", Cli.Mini, "--device", "vulkan", "--prompt", "a", "--response", "b");
        named.Fails(2, "There is no device 'vulkan' (", "cpu (");
        Outcome score = await Cli.RunProcessAsync(NoVulkan, "score", "--model", Cli.Mini, "--prompt", "a", "--response", "b", "--quiet");
        Assert.Equal((0, ""), (score.Code, score.Error));
    }

    /// <summary>A card that NVIDIA's container toolkit was asked for and that is not there: the CPU scores, and it is said why.</summary>
    [Fact]
    public async Task A_container_without_the_driver_of_its_card_says_so_unless_the_CPU_was_meant()
    {
        Dictionary<string, string> toolkit = new(NoVulkan) { ["NVIDIA_VISIBLE_DEVICES"] = "all", ["NVIDIA_DRIVER_CAPABILITIES"] = "compute,utility" };
        string[] score = ["score", "--model", Cli.Mini, "--prompt", "a", "--response", "b"];
        Outcome auto = await Cli.RunProcessAsync(toolkit, score);
        Assert.Equal(0, auto.Code);
        Assert.Contains("ldlvk: The CPU scores: ", auto.Error, StringComparison.Ordinal);
        foreach (string[] meant in (string[][])[["--device", "cpu"], ["--quiet"]])
            Assert.DoesNotContain("The CPU scores", (await Cli.RunProcessAsync(toolkit, [.. score, .. meant])).Error, StringComparison.Ordinal);
        Assert.DoesNotContain("The CPU scores", (await Cli.RunProcessAsync(NoVulkan, score)).Error, StringComparison.Ordinal);
    }

    /// <summary>A read-only root, a home that is none: the score is the same, and it is said that each start compiles again.</summary>
    [Theory]
    [InlineData("/proc/none")]
    [InlineData("/dev/null")]
    public async Task Where_kernels_cannot_be_kept_it_is_said(string folder)
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Folders of Linux.");
        if (VulkanBackend.Enumerate(out string? why).Count == 0) Assert.Skip($"no Vulkan device: {why}");
        string[] score = ["score", "--model", Cli.Mini, "--device", "vulkan", "--prompt", "a", "--response", "b"];
        using TempFolder temp = new();
        Outcome kept = await Cli.RunProcessAsync(Home(temp.Path), score), not = await Cli.RunProcessAsync(Home(folder), score);
        Assert.Equal((0, 0, kept.Out), (kept.Code, not.Code, not.Out));
        Assert.DoesNotContain("not kept", kept.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("probe", string.Join(' ', TempFolder.NamesIn(temp["ldlvk"])), StringComparison.Ordinal);
        Assert.Contains($"ldlvk: Compiled kernels are not kept, so each start compiles them again: {folder}/ldlvk cannot be written", not.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("not kept", (await Cli.RunProcessAsync(Home(folder), [.. score, "--quiet"])).Error, StringComparison.Ordinal);

        static Dictionary<string, string> Home(string folder) => new() { ["XDG_DATA_HOME"] = folder };
    }
}
