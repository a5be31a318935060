using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using LdlVk.Cli.Output;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>What a run of the command line left behind.</summary>
internal sealed record Outcome(int Code, string Out, string Error)
{
    /// <summary>What a process or a stream gave, with the line endings of Unix: on Windows, what is for people has Windows' own.</summary>
    public static string Text(string text) => text.Replace("\r\n", "\n", StringComparison.Ordinal);

    /// <summary>Standard output as JSON lines.</summary>
    public JsonElement[] Lines => [.. Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Cli.Json)];

    /// <summary>The error line of one text of input.</summary>
    public string ErrorOf(int line) => Lines[line].GetProperty("error").GetString()!;

    /// <summary>Asserts an exit code and one line on standard error with all of these words, and nothing like a stack trace.</summary>
    public void Fails(int code, params string[] words)
    {
        Assert.Equal((code, ""), (Code, Out));
        string line = Assert.Single(Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith("ldlvk: ", line, StringComparison.Ordinal);
        Assert.DoesNotContain("internal error", line, StringComparison.Ordinal);
        foreach (string word in words) Assert.True(line.Contains(word, StringComparison.Ordinal), $"\"{word}\" is not in: {line}");
    }
}

/// <summary>Runs the command line, in this process where that is enough.</summary>
internal static class Cli
{
    /// <summary>The model that the project owns.</summary>
    public static string Mini { get; } = Repository.Path("models", "ldl-mini");

    /// <summary>Runs a command in this process.</summary>
    public static Task<Outcome> RunAsync(params string[] args) => RunWithInputAsync("", args);

    /// <summary>Runs a command in this process, with standard input.</summary>
    public static Task<Outcome> RunWithInputAsync(string input, params string[] args) => RunWithInputAsync(Encoding.UTF8.GetBytes(input), args);

    /// <summary>Runs a command in this process, with standard input.</summary>
    public static async Task<Outcome> RunWithInputAsync(byte[] input, params string[] args)
    {
        using MemoryStream output = new();
        using StringWriter error = new();
        Terminal terminal = new() { In = new MemoryStream(input), Out = output, Error = error };
        int code = await CommandLine.RunAsync(args, terminal, CancellationToken.None);
        return new Outcome(code, Outcome.Text(Encoding.UTF8.GetString(output.ToArray())), Outcome.Text(error.ToString()));
    }

    /// <summary>Scores lines from standard input with the small model on the CPU.</summary>
    public static Task<Outcome> ScoreAsync(string input, params string[] flags) =>
        RunWithInputAsync(input, ["score", "--model", Mini, "--device", "cpu", "--input", "-", .. flags]);

    /// <summary>Starts the command line as a process of its own.</summary>
    public static Process Start(IReadOnlyDictionary<string, string>? environment, params string[] args)
    {
        ProcessStartInfo start = ChildProcess.WithDefaultSignals("dotnet", [Path.Combine(AppContext.BaseDirectory, "LdlVk.Cli.dll"), .. args]);
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        start.StandardOutputEncoding = start.StandardErrorEncoding = Encoding.UTF8;
        foreach ((string name, string value) in environment ?? new Dictionary<string, string>()) start.Environment[name] = value;
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception) when (OperatingSystem.IsWindows())
        {
            Assert.Skip("The program dotnet, which starts the command line, is not here: a build with its own runtime is tested.");
            throw;
        }
    }

    /// <summary>Runs the command line as a process of its own.</summary>
    public static async Task<Outcome> RunProcessAsync(IReadOnlyDictionary<string, string>? environment, params string[] args)
    {
        using Process process = Start(environment, args);
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        return new Outcome(process.ExitCode, Outcome.Text(await output), Outcome.Text(await error));
    }

    /// <summary>Parses JSON.</summary>
    public static JsonElement Json(string text)
    {
        using JsonDocument json = JsonDocument.Parse(text);
        return json.RootElement.Clone();
    }
}
