using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Model;

/// <summary>
/// Gemma 1 (Gemma Team 2024, "Gemma: Open Models Based on Gemini Research and Technology"; modeling_gemma.py): norms before attention and
/// feed-forward network, with weights stored as w − 1; embeddings times √hidden.
/// </summary>
internal sealed class GemmaArchitecture : Architecture
{
    private const string OldActivation = "hidden_activation";

    /// <summary>The version of transformers from which on <c>hidden_act</c> is taken at its word.</summary>
    private static readonly Version Literal = new(4, 48);

    public override string Name => "Gemma";

    public override string ModelType => "gemma";

    public override GateActivation GateActivation => GateActivation.Gelu;

    internal override float NormOffset => 1;

    internal override bool ScalesEmbeddings => true;

    internal override bool TiesEmbeddings => true;

    /// <summary>The default of GemmaConfig.</summary>
    internal override int? DefaultPadToken => 0;

    internal override IReadOnlyList<AttentionBias> AttentionBiases => [AttentionBias.None, AttentionBias.All];

    /// <summary>Absent fields have the defaults of Hugging Face's GemmaConfig.</summary>
    internal override BackboneConfig Read(ConfigFields fields)
    {
        fields.RequireFalse("use_bidirectional_attention");
        BackboneConfig config = WithActivation(
            fields, fields.Backbone(this, headDimension: 256, maxPositions: 8192, keyValueHeads: _ => 16));
        return fields.WithRope(config) with
        {
            QueryPreAttentionScalar = config.HeadDimension,
            AttentionBias = fields.AttentionBias(),
        };
    }

    /// <summary>
    /// Gemma was trained with the tanh form of GELU, and its first files call that "gelu". transformers before 4.48 computes what
    /// hidden_activation says, or the tanh form without it; since then it runs what hidden_act says, and "gelu" is the exact form, which
    /// moves scores by 1e-3. A file of before 4.48 with which the two would give other scores is refused, unless it says "gelu".
    /// </summary>
    private static BackboneConfig WithActivation(ConfigFields fields, BackboneConfig config)
    {
        if (fields.Root.TryGet("transformers_version", out JsonField version) && Parse(version.String()) >= Literal)
            return fields.WithActivation(config, "hidden_act");
        BackboneConfig old = fields.WithActivation(config, OldActivation);
        if (!fields.Root.TryGet("hidden_act", out JsonField act) || act.String() == "gelu") return old;
        BackboneConfig current = config.With(BackboneFields.Activation(act));
        return current == old ? current : throw act.Error(
            $"is {act.Kind}, but transformers before 4.48 computes {(fields.Root.TryGet(OldActivation, out JsonField other)
                ? $"{OldActivation}, {other.Kind}" : "gelu_pytorch_tanh")}. Write into both fields what the model was trained with.");
    }

    private static Version? Parse(string version)
    {
        string[] parts = version.Split('.');
        return parts.Length >= 2 && int.TryParse(parts[0], out int major) && int.TryParse(parts[1], out int minor)
            && major >= 0 && minor >= 0 ? new Version(major, minor) : null;
    }
}
