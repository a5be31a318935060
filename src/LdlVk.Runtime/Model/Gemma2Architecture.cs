using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>
/// Gemma 2 (Gemma Team 2024, "Gemma 2: Improving Open Language Models at a Practical Size"; modeling_gemma2.py): norms before and after
/// attention and feed-forward network, with weights stored as w − 1; embeddings times √hidden; soft-capped attention scores; a sliding
/// window in every other layer.
/// </summary>
internal sealed class Gemma2Architecture : Architecture
{
    private const string Softcap = "attn_logit_softcapping", LogitCap = "final_logit_softcapping";

    /// <summary>
    /// The error of a device's tanh, 6e-8, is multiplied by the softcap: above this bound it would pass the differences that devices may
    /// have. Gemma 2 has 50.
    /// </summary>
    private const double MaxSoftcap = 1000;

    public override string Name => "Gemma-2";

    public override string ModelType => "gemma2";

    public override GateActivation GateActivation => GateActivation.Gelu;

    internal override LayerNormNames Norms { get; } =
        new("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm");

    internal override float NormOffset => 1;

    internal override bool ScalesEmbeddings => true;

    internal override IReadOnlyList<AttentionBias> AttentionBiases => [AttentionBias.None, AttentionBias.All];

    internal override bool TiesEmbeddings => true;

    /// <summary>The default of Gemma2Config.</summary>
    internal override int? DefaultPadToken => 0;

    internal override bool IsSliding(int layer) => layer % 2 == 0;

    internal override double LogitSoftcap(ConfigFields fields) => fields.IsNull(LogitCap) ? 0 : fields.Number(LogitCap, 1e-6, 1e6, 30);

    /// <summary>Absent fields have the defaults of Hugging Face's Gemma2Config.</summary>
    internal override BackboneConfig Read(ConfigFields fields)
    {
        fields.RequireFalse("use_bidirectional_attention");
        // Gemma 2's code runs hidden_activation, whose default is the tanh form, and does not read hidden_act, which its files have too.
        BackboneConfig config = fields.WithActivation(
            fields.Backbone(this, headDimension: 256, maxPositions: 8192, keyValueHeads: _ => 4), "hidden_activation");
        // Null turns softcap and window off; the defaults are those of absent fields.
        return fields.WithRope(config) with
        {
            AttentionBias = fields.AttentionBias(),
            SlidingLayers = fields.SlidingLayers(config.Layers) is { } sliding ? new LayerFlags(sliding) : null,
            QueryPreAttentionScalar = fields.Number("query_pre_attn_scalar", 1e-6, 1e9, 256),
            AttentionSoftcap = fields.IsNull(Softcap) ? 0 : (float)fields.Number(Softcap, 1e-3, MaxSoftcap, 50),
            SlidingWindow = fields.IsNull("sliding_window") ? 0 : fields.Integer("sliding_window", 1, int.MaxValue, 4096),
        };
    }
}
