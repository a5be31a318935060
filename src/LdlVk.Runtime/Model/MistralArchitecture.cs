using LdlVk.Runtime.Checkpoints;

namespace LdlVk.Runtime.Model;

/// <summary>
/// Mistral (Jiang et al. 2023, "Mistral 7B"; modeling_mistral.py): Llama's layers, with a sliding window in all of them unless config.json
/// says null. Its matrices never have biases, whatever <c>attention_bias</c> says; a file that has some is refused by their names.
/// </summary>
internal sealed class MistralArchitecture : Architecture
{
    private const string Window = "sliding_window";

    public override string Name => "Mistral";

    public override string ModelType => "mistral";

    internal override bool IsSliding(int layer) => true;

    /// <summary>Absent fields have the defaults of Hugging Face's MistralConfig.</summary>
    internal override BackboneConfig Read(ConfigFields fields)
    {
        fields.RequireLayerTypes(_ => fields.IsNull(Window) ? BackboneFields.FullAttention : BackboneFields.SlidingAttention);
        BackboneConfig config = fields.WithActivation(
            fields.Backbone(this, headDimension: null, maxPositions: 131072, keyValueHeads: _ => 8), "hidden_act");
        return fields.WithRope(config) with
        {
            QueryPreAttentionScalar = config.HeadDimension,
            SlidingWindow = fields.IsNull(Window) ? 0 : fields.Integer(Window, 1, int.MaxValue, 4096),
        };
    }
}
