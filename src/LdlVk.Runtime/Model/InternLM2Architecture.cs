using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Model;

/// <summary>
/// InternLM2 (Cai et al. 2024, "InternLM2 Technical Report"; modeling_internlm2.py): Llama's layers under names of their own. Query, key
/// and value are one matrix: for each KV head the rows of its query heads, then those of its key, then those of its value.
/// </summary>
internal sealed class InternLM2Architecture : Architecture
{
    private const string Fused = "attention.wqkv";

    public override string Name => "InternLM2";

    public override string ModelType => "internlm2";

    internal override IReadOnlyList<AttentionBias> AttentionBiases => [AttentionBias.None, AttentionBias.All];

    internal override string Projection => "output.weight";

    /// <summary>Absent fields have the defaults of InternLM2Config, which the models bring along.</summary>
    internal override BackboneConfig Read(ConfigFields fields)
    {
        BackboneConfig config = fields.WithActivation(
            fields.Backbone(this, headDimension: null, maxPositions: 2048, keyValueHeads: heads => heads), "hidden_act");
        if (config.HeadDimension != config.HiddenSize / config.Heads)
            throw fields.Field("head_dim").Error(
                $"is {config.HeadDimension}, but InternLM2's heads have hidden_size / num_attention_heads = "
                + $"{config.HiddenSize / config.Heads} elements.");
        bool hasBias = !fields.Root.TryGet("bias", out JsonField bias) || bias.Boolean();
        return fields.WithRope(config) with
        {
            QueryPreAttentionScalar = config.HeadDimension,
            AttentionBias = hasBias ? AttentionBias.All : AttentionBias.None,
        };
    }

    internal override StoredTensor Stored(BackboneConfig config, string name, int[] shape)
    {
        if (name == BackboneTensors.Embedding) return new("tok_embeddings.weight", shape, null);
        if (name == BackboneTensors.FinalNorm) return new(name, shape, null);
        // layers.NUMBER.MODULE.weight, or .bias
        int module = name.IndexOf('.', "layers.".Length) + 1, end = name.LastIndexOf('.');
        string at = name[..module], ending = name[end..];
        int perGroup = config.Heads / config.KeyValueHeads, size = config.HeadDimension;
        return name[module..end] switch
        {
            "input_layernorm" => Named("attention_norm"),
            "post_attention_layernorm" => Named("ffn_norm"),
            "self_attn.q_proj" => Part(0, perGroup),
            "self_attn.k_proj" => Part(perGroup, 1),
            "self_attn.v_proj" => Part(perGroup + 1, 1),
            "self_attn.o_proj" => Named("attention.wo"),
            "mlp.gate_proj" => Named("feed_forward.w1"),
            "mlp.up_proj" => Named("feed_forward.w3"),
            "mlp.down_proj" => Named("feed_forward.w2"),
            _ => throw new ArgumentException($"InternLM2 has no tensor {name}.", nameof(name)),
        };

        StoredTensor Named(string stored) => new(at + stored + ending, shape, null);

        // Some of the heads of each group.
        StoredTensor Part(int first, int heads)
        {
            int[] whole = [config.KeyValueHeads * (perGroup + 2) * size, .. shape[1..]];
            return new(at + Fused + ending, whole, new RowGroups((perGroup + 2) * size, new RowRun(first * size, heads * size)));
        }
    }
}
