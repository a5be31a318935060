using LdlVk.Runtime.Checkpoints;

namespace LdlVk.Runtime.Model;

/// <summary>
/// Qwen2 and Qwen2.5 (Qwen Team 2024, "Qwen2 Technical Report"; modeling_qwen2.py): Llama's layers, with a bias on queries, keys and
/// values, and sliding windows only if config.json switches them on.
/// </summary>
internal sealed class Qwen2Architecture : Architecture
{
    public override string Name => "Qwen2";

    public override string ModelType => "qwen2";

    internal override IReadOnlyList<AttentionBias> AttentionBiases => [AttentionBias.Inputs];

    /// <summary>Absent fields have the defaults of Hugging Face's Qwen2Config.</summary>
    internal override BackboneConfig Read(ConfigFields fields)
    {
        BackboneConfig config = fields.WithActivation(
            fields.Backbone(this, headDimension: null, maxPositions: 32768, keyValueHeads: _ => 32), "hidden_act");
        return fields.WithQwenWindows(fields.WithRope(config)) with
        {
            QueryPreAttentionScalar = config.HeadDimension,
            AttentionBias = AttentionBias.Inputs,
        };
    }
}
