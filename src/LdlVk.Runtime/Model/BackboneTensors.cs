namespace LdlVk.Runtime.Model;

/// <summary>
/// The tensors of a backbone as transformers names them (modeling_gemma2.py, modeling_llama.py), without <c>model.</c>. An original
/// checkpoint of another naming has them where <see cref="Architecture.Stored"/> says; converted folders have these names.
/// </summary>
internal static class BackboneTensors
{
    /// <summary>The embedding table [vocabulary, hidden].</summary>
    public const string Embedding = "embed_tokens.weight";

    /// <summary>The norm after the last layer [hidden].</summary>
    public const string FinalNorm = "norm.weight";

    /// <summary>The norms of queries and keys in a layer [head dimension], or [heads · head dimension] if they are of all heads.</summary>
    public const string QueryNorm = "self_attn.q_norm.weight", KeyNorm = "self_attn.k_norm.weight";

    /// <summary>The biases in a layer [outputs].</summary>
    public const string QueryBias = "self_attn.q_proj.bias", KeyBias = "self_attn.k_proj.bias", ValueBias = "self_attn.v_proj.bias",
        OutputBias = "self_attn.o_proj.bias", GateBias = "mlp.gate_proj.bias", UpBias = "mlp.up_proj.bias",
        DownBias = "mlp.down_proj.bias";

    /// <summary>Returns the prefix of the names of a layer's tensors.</summary>
    public static string Layer(int layer) => $"layers.{layer}.";

    /// <summary>Whether a tensor of <see cref="Of"/> is a matrix of a layer, which devices store in a weight format.</summary>
    public static bool IsWeight(string name, int[] shape) => shape.Length == 2 && name != Embedding;

    /// <summary>Whether a tensor is the weights of a norm.</summary>
    public static bool IsNorm(string name) => name.EndsWith("norm.weight", StringComparison.Ordinal);

    /// <summary>Returns every tensor with its shape; matrices are [out, in].</summary>
    public static IEnumerable<(string Name, int[] Shape)> Of(BackboneConfig config)
    {
        int hidden = config.HiddenSize, ffn = config.IntermediateSize;
        int queries = config.Heads * config.HeadDimension, keys = config.KeyValueHeads * config.HeadDimension;
        yield return (Embedding, [config.VocabularySize, hidden]);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            string at = Layer(layer);
            foreach (string norm in config.Architecture.Norms.All) yield return ($"{at}{norm}.weight", [hidden]);
            if (config.Architecture.QueryKeyNorm is not QueryKeyNorm.None and var norms)
            {
                yield return (at + QueryNorm, [norms == QueryKeyNorm.Head ? config.HeadDimension : queries]);
                yield return (at + KeyNorm, [norms == QueryKeyNorm.Head ? config.HeadDimension : keys]);
            }

            yield return (at + "self_attn.q_proj.weight", [queries, hidden]);
            yield return (at + "self_attn.k_proj.weight", [keys, hidden]);
            yield return (at + "self_attn.v_proj.weight", [keys, hidden]);
            yield return (at + "self_attn.o_proj.weight", [hidden, queries]);
            if (config.AttentionBias != AttentionBias.None)
            {
                yield return (at + QueryBias, [queries]);
                yield return (at + KeyBias, [keys]);
                yield return (at + ValueBias, [keys]);
            }

            if (config.AttentionBias == AttentionBias.All) yield return (at + OutputBias, [hidden]);
            yield return (at + "mlp.gate_proj.weight", [ffn, hidden]);
            yield return (at + "mlp.up_proj.weight", [ffn, hidden]);
            yield return (at + "mlp.down_proj.weight", [hidden, ffn]);
            if (!config.HasFeedForwardBiases) continue;
            yield return (at + GateBias, [ffn]);
            yield return (at + UpBias, [ffn]);
            yield return (at + DownBias, [hidden]);
        }
        yield return (FinalNorm, [hidden]);
    }
}
