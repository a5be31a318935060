namespace LdlVk.Runtime.Model;

/// <summary>The tensors of a backbone as Hugging Face names them (modeling_gemma2.py, modeling_llama.py), without <c>model.</c>.</summary>
internal static class BackboneTensors
{
    /// <summary>The embedding table [vocabulary, hidden].</summary>
    public const string Embedding = "embed_tokens.weight";

    /// <summary>The norm after the last layer [hidden].</summary>
    public const string FinalNorm = "norm.weight";

    /// <summary>Returns the prefix of the names of a layer's tensors.</summary>
    public static string Layer(int layer) => $"layers.{layer}.";

    /// <summary>Whether a tensor of <see cref="Of"/> is a matrix of a layer, which devices store in a weight format.</summary>
    public static bool IsWeight(string name, int[] shape) => shape.Length == 2 && name != Embedding;

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
            yield return (at + "self_attn.q_proj.weight", [queries, hidden]);
            yield return (at + "self_attn.k_proj.weight", [keys, hidden]);
            yield return (at + "self_attn.v_proj.weight", [keys, hidden]);
            yield return (at + "self_attn.o_proj.weight", [hidden, queries]);
            yield return (at + "mlp.gate_proj.weight", [ffn, hidden]);
            yield return (at + "mlp.up_proj.weight", [ffn, hidden]);
            yield return (at + "mlp.down_proj.weight", [hidden, ffn]);
        }
        yield return (FinalNorm, [hidden]);
    }
}
