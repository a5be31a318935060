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
    private const string Gelu = "gelu_pytorch_tanh", Activation = "hidden_act", NewActivation = "hidden_activation";

    /// <summary>The version of transformers from which on <c>hidden_act</c> is taken at its word.</summary>
    private static readonly Version Literal = new(4, 48);

    public override string Name => "Gemma";

    public override string ModelType => "gemma";

    public override GateActivation GateActivation => GateActivation.Gelu;

    internal override float NormOffset => 1;

    internal override bool ScalesEmbeddings => true;

    /// <summary>The default of GemmaConfig.</summary>
    internal override int? DefaultPadToken => 0;

    internal override IReadOnlyList<AttentionBias> AttentionBiases => [AttentionBias.None, AttentionBias.All];

    /// <summary>Absent fields have the defaults of Hugging Face's GemmaConfig.</summary>
    internal override BackboneConfig Read(ConfigFields fields)
    {
        RequireTanh(fields);
        fields.RequireFalse("use_bidirectional_attention", "mlp_bias");
        BackboneConfig config = fields.Backbone(this, headDimension: 256, maxPositions: 8192, keyValueHeads: _ => 16);
        return fields.WithRope(config) with
        {
            QueryPreAttentionScalar = config.HeadDimension,
            AttentionBias = fields.AttentionBias(),
        };
    }

    /// <summary>
    /// Gemma was trained with the tanh form of GELU, and its first files call that "gelu". transformers ran the tanh form for it before
    /// 4.48, and runs the exact form since, which moves scores by 1e-3: a file of a newer version that says "gelu" is refused.
    /// </summary>
    private static void RequireTanh(ConfigFields fields)
    {
        fields.RequireActivation(NewActivation, Gelu);
        fields.RequireActivation(Activation, Gelu, "gelu");
        if (!fields.Root.TryGet(Activation, out JsonField activation) || activation.String() == Gelu) return;
        if (!fields.Root.TryGet("transformers_version", out JsonField version) || !IsFrom(Literal, version.String())) return;
        throw activation.Error(
            $"is {activation.Kind}, the exact GELU, which is not supported: transformers {Shown.Short(version.String())}, which wrote the "
            + $"file, computes it so, while Gemma was trained with \"{Gelu}\". If the model was trained so, write that.");
    }

    private static bool IsFrom(Version first, string version)
    {
        string[] parts = version.Split('.');
        return parts.Length >= 2 && int.TryParse(parts[0], out int major) && int.TryParse(parts[1], out int minor)
            && major >= 0 && minor >= 0 && new Version(major, minor) >= first;
    }
}
