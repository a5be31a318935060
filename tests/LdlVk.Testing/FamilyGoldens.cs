namespace LdlVk.Testing;

/// <summary>The goldens of tests/data/families: one little checkpoint for each family of reward models.</summary>
public static class FamilyGoldens
{
    /// <summary>The folder of all cases.</summary>
    public static string Folder => Repository.Path("tests", "data", "families");

    /// <summary>The cases that are supported: <c>FamilyGoldenTests</c> holds each to the reference.</summary>
    public static IReadOnlyList<string> Cases { get; } =
    [
        "gemma1_linear",
        "gemma3_text_linear",
        "llama_linear",
        "mistral_linear",
        "qwen2_linear",
        "qwen3_linear",
    ];

    /// <summary>One case.</summary>
    public static GoldenCase Read(string name) => Goldens.ReadFolder(Path.Combine(Folder, name));
}
