namespace LdlVk;

/// <summary>By what the embedding rows are multiplied.</summary>
public enum EmbeddingScale
{
    /// <summary><see cref="Bf16"/> if the checkpoint is bf16, else <see cref="Exact"/>: what the published scores used.</summary>
    Auto,
    /// <summary>√hidden.</summary>
    Exact,
    /// <summary>√hidden rounded to bf16, as a bf16 run of the original does: 68 instead of 67.882 for 4608.</summary>
    Bf16,
}
