namespace LdlVk.Runtime.Execution;

/// <summary>How a model is put on a device.</summary>
/// <param name="Weights">Format of the backbone's matrices.</param>
/// <param name="Heads">Format of the heads' matrices.</param>
/// <param name="EmbeddingScale">By what the embeddings are multiplied.</param>
/// <param name="Compute">
/// How products are computed; <see cref="ModelMemory.CheckCompute(ComputeMode, WeightFormat)"/> says with which weights.
/// </param>
public sealed record LoadSettings(
    WeightFormat Weights,
    WeightFormat Heads = WeightFormat.Fp32,
    EmbeddingScale EmbeddingScale = EmbeddingScale.Auto,
    ComputeMode Compute = ComputeMode.Auto)
{
    /// <summary>Tokens whose keys and values are kept for texts that begin alike; 0 for none.</summary>
    public int CacheTokens { get; init; }

    /// <summary>Tokens whose keys and values are kept in host memory when they must leave the devices; 0 for none.</summary>
    public int HostCacheTokens { get; init; }
}
