using LdlVk.Runtime.Checkpoints;

namespace LdlVk.Runtime.Model;

/// <summary>
/// OLMo 2 (OLMo Team 2024, "2 OLMo 2 Furious"; modeling_olmo2.py): Llama's layers with the norms behind attention and feed-forward network
/// instead of before them, and an RMSNorm of all queries and of all keys of a token before the rotation.
/// </summary>
internal sealed class Olmo2Architecture : Architecture
{
    public override string Name => "OLMo-2";

    public override string ModelType => "olmo2";

    public override QueryKeyNorm QueryKeyNorm => QueryKeyNorm.Token;

    internal override LayerNormNames Norms { get; } = new(null, "post_attention_layernorm", null, "post_feedforward_layernorm");

    /// <summary>The default of Olmo2Config.</summary>
    internal override int? DefaultPadToken => 1;

    internal override IReadOnlyList<AttentionBias> AttentionBiases => [AttentionBias.None, AttentionBias.All];

    /// <summary>Absent fields have the defaults of Hugging Face's Olmo2Config.</summary>
    internal override BackboneConfig Read(ConfigFields fields)
    {
        BackboneConfig config = fields.WithActivation(
            fields.Backbone(this, headDimension: null, maxPositions: 2048, keyValueHeads: heads => heads, epsilon: 1e-5), "hidden_act");
        return fields.WithRope(config) with
        {
            QueryPreAttentionScalar = config.HeadDimension,
            AttentionBias = fields.AttentionBias(),
        };
    }
}
