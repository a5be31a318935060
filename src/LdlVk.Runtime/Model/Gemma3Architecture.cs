using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Model;

/// <summary>
/// Gemma 3's text model (Gemma Team 2025, "Gemma 3 Technical Report"; modeling_gemma3.py): Gemma 2's norms and an RMSNorm of each head of
/// queries and keys, all with weights stored as w − 1; embeddings times √hidden; a sliding window in five of six layers, which have a
/// rotary embedding of their own. Its files have <c>attn_logit_softcapping</c>, which its code does not read.
/// </summary>
internal sealed class Gemma3Architecture : Architecture
{
    /// <summary>Of six layers, the last has full attention.</summary>
    private const int DefaultPattern = 6;

    private const string Multimodal = "gemma3", TextConfig = "text_config";

    public override string Name => "Gemma-3";

    public override string ModelType => "gemma3_text";

    public override GateActivation GateActivation => GateActivation.Gelu;

    public override QueryKeyNorm QueryKeyNorm => QueryKeyNorm.Head;

    internal override LayerNormNames Norms { get; } =
        new("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm");

    internal override float NormOffset => 1;

    internal override bool ScalesEmbeddings => true;

    internal override bool TiesEmbeddings => true;

    /// <summary>The default of Gemma3TextConfig.</summary>
    internal override int? DefaultPadToken => 0;

    internal override IReadOnlyList<AttentionBias> AttentionBiases => [AttentionBias.None, AttentionBias.All];

    internal override bool IsSliding(int layer) => (layer + 1) % DefaultPattern != 0;

    internal override double LogitSoftcap(ConfigFields fields) => fields.Number("final_logit_softcapping", 1e-6, 1e6, 0);

    /// <summary>A model of texts and images has the text model inside; texts alone go through that alone.</summary>
    internal override bool IsNamed(string modelType) => modelType is "gemma3_text" or Multimodal;

    internal override ConfigFields TextFields(ConfigFields fields)
    {
        JsonField type = fields.Root.Get("model_type");
        if (type.String() != Multimodal) return fields;
        return fields.Root.TryGet(TextConfig, out JsonField text) ? new ConfigFields(text)
            : throw type.Error($"is \"{Multimodal}\", but there is no {TextConfig}, which describes its text model.");
    }

    /// <summary>Absent fields have the defaults of Hugging Face's Gemma3TextConfig.</summary>
    internal override BackboneConfig Read(ConfigFields fields)
    {
        fields.RequireFalse("use_bidirectional_attention");
        // A file of a model with images leaves out what its text model has of the defaults, as Gemma-3-4B's does.
        BackboneConfig config = fields.WithActivation(
            fields.Backbone(
                this, headDimension: 256, maxPositions: 131072, keyValueHeads: _ => 4, absent: new AbsentSizes(2304, 26, 8, 9216, 262208)),
            "hidden_activation");
        int pattern = fields.Integer("sliding_window_pattern", 1, 1000, DefaultPattern);
        return fields.WithTwoRopes(config, theta: 1e6, "rope_local_base_freq", slidingTheta: 1e4) with
        {
            QueryPreAttentionScalar = fields.Number("query_pre_attn_scalar", 1e-6, 1e9, 256),
            AttentionBias = fields.AttentionBias(),
            SlidingWindow = fields.IsNull("sliding_window") ? 0 : fields.Integer("sliding_window", 1, int.MaxValue, 4096),
            SlidingLayers = new LayerFlags(
                fields.SlidingLayers(config.Layers) ?? Enumerable.Range(0, config.Layers).Select(layer => (layer + 1) % pattern != 0)),
        };
    }
}
