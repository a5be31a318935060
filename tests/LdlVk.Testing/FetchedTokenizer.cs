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
        (string? folder, string? whyNot) = FetchScript.Run("fetch-tokenizer", model);
        return (folder is null ? null : Path.Combine(folder, "tokenizer.json"), whyNot);
    }
}
