using LdlVk.Runtime.Checkpoints;

namespace LdlVk.Runtime.Model;

/// <summary>
/// Qwen3 (Qwen Team 2025, "Qwen3 Technical Report"; modeling_qwen3.py): Llama's layers, with an RMSNorm of each head of queries and keys
/// before the rotation, and sliding windows only if config.json switches them on.
/// </summary>
internal sealed class Qwen3Architecture : Architecture
{
    public override string Name => "Qwen3";

    public override string ModelType => "qwen3";

    public override QueryKeyNorm QueryKeyNorm => QueryKeyNorm.Head;

    internal override IReadOnlyList<AttentionBias> AttentionBiases => [AttentionBias.None, AttentionBias.All];

    /// <summary>Absent fields have the defaults of Hugging Face's Qwen3Config.</summary>
    internal override BackboneConfig Read(ConfigFields fields)
    {
        BackboneConfig config = fields.WithActivation(
            fields.Backbone(this, headDimension: 128, maxPositions: 32768, keyValueHeads: _ => 32), "hidden_act");
        return fields.WithQwenWindows(fields.WithRope(config)) with
        {
            QueryPreAttentionScalar = config.HeadDimension,
            AttentionBias = fields.AttentionBias(),
        };
    }
}
