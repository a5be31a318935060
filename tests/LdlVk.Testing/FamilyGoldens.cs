namespace LdlVk.Testing;

/// <summary>The goldens of tests/data/families: one little checkpoint for each family of reward models, and one with an adapter.</summary>
public static class FamilyGoldens
{
    /// <summary>The folder of all cases.</summary>
    public static string Folder => Repository.Path("tests", "data", "families");

    /// <summary>Every case: <c>FamilyGoldenTests</c> holds each to the reference.</summary>
    public static IReadOnlyList<string> Cases { get; } =
    [
        "armorm_llama",
        "gemma1_linear",
        "gemma3_text_linear",
        "internlm2_reward",
        "llama_linear",
        "llama_logit0",
        "llama_regression_head_bin",
        "llama_score_head",
        "llama_v_head",
        "llama_value_head_norm",
        "lora_qwen3",
        "mistral_linear",
        "olmo2_linear",
        "phi3_linear",
        "phi4_linear",
        "qrm_gemma2",
        "qrm_llama",
        "qwen2_linear",
        "qwen2_mlp",
        "qwen2_prm",
        "qwen3_linear",
        "skywork_o1_prm",
        "urm_llama",
    ];

    /// <summary>One case.</summary>
    public static GoldenCase Read(string name) => Goldens.ReadFolder(Path.Combine(Folder, name));
}
