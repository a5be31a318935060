using System.ComponentModel;
using System.Diagnostics;
using LdlVk.Runtime.Text;

namespace LdlVk.Testing;

/// <summary>A model's own tokenizer.json, fetched once by eng/fetch-tokenizer; too large to be part of the repository.</summary>
public sealed class FetchedTokenizer
{
    private readonly Lazy<(string? Path, string? WhyNot)> _fetched;
    private readonly Lazy<Tokenizer> _loaded;

    private FetchedTokenizer(string model)
    {
        _fetched = new(() => Fetch(model));
        _loaded = new(() => Tokenizer.Load(_fetched.Value.Path!));
    }

    /// <summary>Gemma-2's: 17 MB.</summary>
    public static FetchedTokenizer Gemma2 { get; } = new("gemma2");

    /// <summary>Llama 3.1's: 9 MB.</summary>
    public static FetchedTokenizer Llama3 { get; } = new("llama3");

    /// <summary>The file; null where it cannot be had, and then why.</summary>
    public (string? Path, string? WhyNot) File => _fetched.Value;

    /// <summary>The tokenizer, loaded once; only where <see cref="File"/> has a path.</summary>
    public Tokenizer Instance => _loaded.Value;

    private static (string?, string?) Fetch(string model)
    {
        string path = Repository.Path(".cache", model, "tokenizer.json");
        if (System.IO.File.Exists(path)) return (path, null);
        try
        {
            using Process process = Process.Start(new ProcessStartInfo("bash", ["eng/fetch-tokenizer", model])
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
