using LdlVk.Runtime.Checkpoints;

namespace LdlVk.Runtime.Model;

/// <summary>
/// Llama (Llama Team 2024, "The Llama 3 Herd of Models"; modeling_llama.py): norms before attention and feed-forward network, SiLU,
/// and from 3.1 on scaled rotary frequencies for long texts.
/// </summary>
internal sealed class LlamaArchitecture : Architecture
{
    public override string Name => "Llama";

    public override string ModelType => "llama";

    internal override IReadOnlyList<AttentionBias> AttentionBiases => [AttentionBias.None, AttentionBias.All];

    internal override bool MayBiasFeedForward => true;

    /// <summary>Absent fields have the defaults of Hugging Face's LlamaConfig.</summary>
    internal override BackboneConfig Read(ConfigFields fields)
    {
        BackboneConfig config = fields.WithActivation(
            fields.Backbone(this, headDimension: null, maxPositions: 2048, keyValueHeads: heads => heads), "hidden_act");
        return fields.WithRope(config) with
        {
            QueryPreAttentionScalar = config.HeadDimension,
            AttentionBias = fields.AttentionBias(),
            HasFeedForwardBiases = fields.IsSet("mlp_bias"),
        };
    }
}
