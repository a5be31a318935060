using System.ComponentModel;
using System.Diagnostics;
using LdlVk.Runtime.Text;

namespace LdlVk.Testing;

/// <summary>Gemma-2's own tokenizer.json, fetched once by eng/fetch-tokenizer; 17 MB, so not part of the repository.</summary>
public static class Gemma2Tokenizer
{
    private static readonly Lazy<(string? Path, string? WhyNot)> Fetched = new(Fetch);
    private static readonly Lazy<Tokenizer> Loaded = new(() => Tokenizer.Load(Fetched.Value.Path!));

    /// <summary>The file; null where it cannot be had, and then why.</summary>
    public static (string? Path, string? WhyNot) File => Fetched.Value;

    /// <summary>The tokenizer, loaded once; only where <see cref="File"/> has a path.</summary>
    public static Tokenizer Instance => Loaded.Value;

    private static (string?, string?) Fetch()
    {
        string path = Repository.Path(".cache", "gemma2", "tokenizer.json");
        if (System.IO.File.Exists(path)) return (path, null);
        try
        {
            using Process process = Process.Start(new ProcessStartInfo("bash", ["eng/fetch-tokenizer"])
            {
                WorkingDirectory = Repository.Root,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(TimeSpan.FromMinutes(3)))
            {
                process.Kill(entireProcessTree: true);
                return (null, "eng/fetch-tokenizer took more than 3 minutes.");
            }
            return process.ExitCode == 0
                ? (Path.Combine(output.Result.Trim(), "tokenizer.json"), null)
                : (null, $"eng/fetch-tokenizer failed: {errors.Result.Trim()}");
        }
        catch (Win32Exception e)
        {
            return (null, $"eng/fetch-tokenizer needs bash: {e.Message}");
        }
    }
}
