using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests.Docs;

/// <summary>
/// Samples in README and docs are what comes out: every <c>console</c> block is run by a shell, those of a file one after another in one folder.
/// A line <c>$ COMMAND</c> begins a sample, lines <c>&gt; …</c> go on with it, the rest is its output. <c>…</c> stands for anything.
/// </summary>
[Trait("Duration", "Long")]
public sealed partial class SampleTests
{
    public static TheoryData<string> Files => [.. MarkdownFile.Names.Where(n => new MarkdownFile(n).Blocks("console").Length > 0)];

    [Theory]
    [MemberData(nameof(Files))]
    public async Task Samples_are_what_comes_out(string name)
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("The samples are for a Unix shell.");
        MarkdownFile file = new(name);
        string[] blocks = file.Blocks("console");
        if (blocks.Any(b => b.Contains("curl ", StringComparison.Ordinal)) && !File.Exists("/usr/bin/curl")) Assert.Skip("curl is not installed (apt-get install curl).");
        using TempFolder temp = new();
        File.CreateSymbolicLink(temp["models"], Repository.Path("models"));
        File.CreateSymbolicLink(temp["tests"], Repository.Path("tests"));
        string program = temp.Write("ldlvk", $"#!/bin/sh\nexec dotnet '{Path.Combine(AppContext.BaseDirectory, "LdlVk.Cli.dll")}' \"$@\"\n");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

        string text = file.Text;
        string port = FreePort();
        using Shell shell = new(temp.Path);
        foreach (string block in blocks)
        {
            StringBuilder actual = new();
            foreach ((string command, string shown) in Samples(block))
            {
                string output = (await shell.RunAsync(command.Replace("8000", port, StringComparison.Ordinal)))
                    .Replace(port, "8000", StringComparison.Ordinal).Replace($"{temp.Path}/", "", StringComparison.Ordinal);
                // An error without a body would be recorded as the answer.
                Assert.False(output.Length == 0 && command.Contains("curl ", StringComparison.Ordinal), $"{name}: no answer to {command}");
                actual.Append(shown).Append(output);
            }

            if (MarkdownFile.Updates) text = text.Replace(block, Lines(block).Contains("…") ? block : actual.ToString(), StringComparison.Ordinal);
            else Assert.Matches(Pattern(block), Masked(actual.ToString()));
        }

        if (MarkdownFile.Updates) await File.WriteAllTextAsync(file.Path, text);
    }

    [Theory]
    [InlineData("3 texts in 0.1 s: 489 tokens/s", "3 texts in 12 s: 7.5E-05 tokens/s", true)]
    [InlineData("cpu (AMD EPYC), fp16", "cpu (Intel Xeon), fp16", true)]
    [InlineData("score 4.230722", "score 4.230723", false)]
    [InlineData("a\n…\nb", "a\nx\ny\nb", true)]
    [InlineData("a\n…\nb", "a\nx\ny\nc", false)]
    public void Only_times_and_machines_may_differ(string expected, string actual, bool matches) =>
        Assert.Equal(matches, Regex.IsMatch(Masked($"{actual}\n"), Pattern($"{expected}\n")));

    /// <summary>Commands with how they are shown.</summary>
    private static IEnumerable<(string Command, string Shown)> Samples(string block)
    {
        string[] lines = Lines(block);
        for (int i = 0; i < lines.Length; i++)
        {
            if (!lines[i].StartsWith("$ ", StringComparison.Ordinal)) continue;
            int end = i + 1;
            while (end < lines.Length && lines[end].StartsWith("> ", StringComparison.Ordinal)) end++;
            yield return (string.Join('\n', lines[i..end].Select(l => l[2..])), string.Concat(lines[i..end].Select(l => l + "\n")));
        }
    }

    private static string[] Lines(string block) => block.TrimEnd('\n').Split('\n');

    private static string Pattern(string block) => $@"\A{Regex.Escape(Masked(block)).Replace("…", @"[\s\S]*?", StringComparison.Ordinal)}\z";

    /// <summary>Without what depends on the machine and its speed.</summary>
    private static string Masked(string text) => Processor().Replace(Rate().Replace(text, "# $1"), "cpu (#)");

    private static string FreePort()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port.ToString(System.Globalization.CultureInfo.InvariantCulture);
    }

    [GeneratedRegex(@"\d+(?:\.\d+)?(?:E-?\d+)? (s|ms|tokens/s|GB/s)(?![\w])")]
    private static partial Regex Rate();

    [GeneratedRegex(@"cpu \([^)]*\)")]
    private static partial Regex Processor();

    /// <summary>A shell that stays, so that later samples see what earlier ones left; what runs in its background ends with it.</summary>
    private sealed class Shell : IDisposable
    {
        private const string End = "--- end of the sample ---";
        private readonly Process _process;

        public Shell(string folder)
        {
            ProcessStartInfo start = new("/usr/bin/setsid", ["/bin/bash", "-s"]) { WorkingDirectory = folder, RedirectStandardInput = true, RedirectStandardOutput = true, StandardOutputEncoding = Encoding.UTF8 };
            // A machine's GPU has other last digits: the samples are the CPU device's.
            foreach (string variable in (string[])["VK_DRIVER_FILES", "VK_ICD_FILENAMES"]) start.Environment[variable] = "/nonexistent.json";
            _process = Process.Start(start)!;
            _process.StandardInput.WriteLine("exec 2>&1");
        }

        public async Task<string> RunAsync(string command)
        {
            await _process.StandardInput.WriteLineAsync($"{command}\necho '{End}'");
            await _process.StandardInput.FlushAsync();
            StringBuilder output = new();
            while (await _process.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(120)) is { } line)
            {
                if (line == End) return output.ToString();
                if (line.EndsWith(End, StringComparison.Ordinal)) return output.Append(line[..^End.Length]).Append('\n').ToString();
                output.Append(line).Append('\n');
            }

            throw new InvalidOperationException($"The shell ended at {command}: {output}");
        }

        public void Dispose()
        {
            using (Process kill = Process.Start("/bin/sh", ["-c", $"kill -TERM -{_process.Id}"])) kill.WaitForExit();
            _process.WaitForExit(TimeSpan.FromSeconds(10));
            _process.Dispose();
        }
    }
}
