using System.Text.Json;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Model;

/// <summary>Sizes of a backbone whose fields a file leaves out.</summary>
/// <param name="Hidden">hidden_size.</param>
/// <param name="Layers">num_hidden_layers.</param>
/// <param name="Heads">num_attention_heads.</param>
/// <param name="FeedForward">intermediate_size.</param>
/// <param name="Vocabulary">vocab_size.</param>
internal sealed record AbsentSizes(int Hidden, int Layers, int Heads, int FeedForward, int Vocabulary);

/// <summary>Reads the config.json fields that several architectures share.</summary>
internal static class BackboneFields
{
    /// <summary>Names of the kinds of attention in <c>layer_types</c> and <c>rope_parameters</c>.</summary>
    public const string FullAttention = "full_attention", SlidingAttention = "sliding_attention";

    private const string Window = "sliding_window";

    /// <summary>
    /// Reads the fields that all architectures have; the architecture adds those of the rotary embedding and of attention.
    /// </summary>
    /// <param name="fields">The fields of config.json.</param>
    /// <param name="architecture">The architecture that config.json names.</param>
    /// <param name="headDimension">Default of head_dim; null for hidden_size / num_attention_heads.</param>
    /// <param name="maxPositions">Default of max_position_embeddings.</param>
    /// <param name="keyValueHeads">Default of num_key_value_heads as a function of num_attention_heads. A field that is there and null
    /// always means num_attention_heads.</param>
    /// <param name="epsilon">Default of rms_norm_eps.</param>
    /// <param name="absent">What other absent fields stand for; null if they are required.</param>
    /// <exception cref="CheckpointException">A field is missing, malformed or out of bounds.</exception>
    public static BackboneConfig Backbone(
        this ConfigFields fields, Architecture architecture, int? headDimension, int maxPositions, Func<int, int> keyValueHeads,
        double epsilon = 1e-6, AbsentSizes? absent = null)
    {
        JsonField root = fields.Root;
        int hidden = Size("hidden_size", 1 << 20, absent?.Hidden), heads = Size("num_attention_heads", 1 << 12, absent?.Heads);
        BackboneConfig config = new()
        {
            Architecture = architecture,
            HiddenSize = hidden,
            Layers = Size("num_hidden_layers", 1000, absent?.Layers),
            Heads = heads,
            KeyValueHeads = fields.IsNull("num_key_value_heads")
                ? heads : fields.Integer("num_key_value_heads", 1, 1 << 12, keyValueHeads(heads)),
            HeadDimension = fields.Integer("head_dim", 2, 1 << 12, headDimension ?? Math.Max(2, hidden / heads)),
            IntermediateSize = Size("intermediate_size", 1 << 22, absent?.FeedForward),
            VocabularySize = Size("vocab_size", 1 << 24, absent?.Vocabulary),
            MaxPositions = fields.Integer("max_position_embeddings", 1, 1 << 24, maxPositions),
            RmsNormEpsilon = (float)fields.Number("rms_norm_eps", 1e-30, 1, epsilon),
            RopeTheta = 0,
            QueryPreAttentionScalar = 0,
        };
        if (config.Heads % config.KeyValueHeads != 0)
            throw fields.Field("num_key_value_heads").Damaged(
                $"is {config.KeyValueHeads}, which does not divide num_attention_heads {config.Heads}");
        if (config.HeadDimension % 2 != 0)
            throw fields.Field("head_dim").Damaged($"is {config.HeadDimension}; the rotary embedding needs an even number");
        if ((long)config.MaxPositions * config.HeadDimension > int.MaxValue)
            throw fields.Field("max_position_embeddings").Damaged(
                $"is {config.MaxPositions}, which times head_dim {config.HeadDimension} exceeds {int.MaxValue:N0}");
        return config;

        int Size(string name, int most, int? otherwise) => otherwise is { } size
            ? fields.Integer(name, 1, most, size) : root.Get(name).Integer(1, most);
    }

    /// <summary>Adds the gate's activation, by its name in ACT2FN of transformers (activations.py).</summary>
    /// <param name="fields">The fields of config.json.</param>
    /// <param name="config">The backbone.</param>
    /// <param name="name">The field; if it is absent, the activation is the architecture's.</param>
    /// <exception cref="CheckpointException">The field names an activation that is not supported.</exception>
    public static BackboneConfig WithActivation(this ConfigFields fields, BackboneConfig config, string name) =>
        fields.Root.TryGet(name, out JsonField field) ? config.With(Activation(field)) : config;

    /// <summary>The activation that a field names.</summary>
    /// <exception cref="CheckpointException">It is not supported.</exception>
    public static GateActivation Activation(JsonField field) => field.String() switch
    {
        "silu" or "swish" => GateActivation.Silu,
        // One formula, of which gelu_fast rounds √(2/π) to ten digits.
        "gelu_pytorch_tanh" or "gelu_python_tanh" or "gelu_new" or "gelu_fast" or "gelu_accurate" => GateActivation.Gelu,
        "gelu" or "gelu_python" => throw field.Error(
            $"is {field.Kind}, the exact form of GELU, which is not supported; \"gelu_pytorch_tanh\" and \"silu\" are. If the model was "
            + $"trained with the tanh form, as Gemma was, write that."),
        _ => throw ConfigFields.Unsupported(field, "\"silu\" or \"gelu_pytorch_tanh\""),
    };

    /// <summary>Replaces the gate's activation.</summary>
    public static BackboneConfig With(this BackboneConfig config, GateActivation activation) =>
        config with { OtherActivation = activation == config.Architecture.GateActivation ? null : activation };

    /// <summary>The biases that <c>attention_bias</c> gives to attention, as Llama's code reads it.</summary>
    public static AttentionBias AttentionBias(this ConfigFields fields) =>
        fields.Root.TryGet("attention_bias", out JsonField bias) && bias.Boolean() ? Model.AttentionBias.All : Model.AttentionBias.None;

    /// <summary>Reads for each layer whether it has a sliding window, which newer files list; null if the file has no list.</summary>
    /// <exception cref="CheckpointException">The list is malformed, or has another kind of attention.</exception>
    public static bool[]? SlidingLayers(this ConfigFields fields, int layers)
    {
        if (!fields.Root.TryGet("layer_types", out JsonField types)) return null;
        bool[] sliding = [.. types.Items().Select((item, layer) => IsSliding(types.Item(layer, item)))];
        return sliding.Length == layers
            ? sliding : throw types.Damaged($"has {sliding.Length} items, but num_hidden_layers is {layers}");

        static bool IsSliding(JsonField type) => type.String() switch
        {
            SlidingAttention => true,
            FullAttention => false,
            _ => throw ConfigFields.Unsupported(type, $"\"{FullAttention}\" or \"{SlidingAttention}\""),
        };
    }

    /// <summary>
    /// Adds the sliding window as Qwen2 and Qwen3 read it: only if <c>use_sliding_window</c> is set, and then in the layers that
    /// <c>layer_types</c> lists, or from <c>max_window_layers</c> on.
    /// </summary>
    /// <exception cref="CheckpointException">A field is malformed, or a layer has a window and the file gives no size.</exception>
    public static BackboneConfig WithQwenWindows(this ConfigFields fields, BackboneConfig config)
    {
        bool isUsed = fields.Root.TryGet("use_sliding_window", out JsonField use) && use.Boolean();
        int window = !isUsed || fields.IsNull(Window) ? 0 : fields.Integer(Window, 1, int.MaxValue, 4096);
        int first = fields.Integer("max_window_layers", 0, int.MaxValue, 28);
        bool[]? listed = fields.SlidingLayers(config.Layers);
        if (listed?.Contains(true) == true && window == 0)
            throw fields.Field("layer_types").Error(
                $"has {SlidingAttention}, but {(isUsed ? $"{Window} is null" : "use_sliding_window is not set")}. "
                + $"Set both, or {FullAttention} for each layer.");
        return window == 0 ? config : config with
        {
            SlidingWindow = window,
            SlidingLayers = new LayerFlags(listed ?? Enumerable.Range(0, config.Layers).Select(layer => layer >= first)),
        };
    }

    /// <summary>Checks the attention type of each layer, which newer files list.</summary>
    /// <param name="fields">The fields of config.json.</param>
    /// <param name="expected">Returns the supported attention type of a layer.</param>
    /// <exception cref="CheckpointException">A layer has another type.</exception>
    public static void RequireLayerTypes(this ConfigFields fields, Func<int, string> expected)
    {
        if (!fields.Root.TryGet("layer_types", out JsonField types)) return;
        int layer = 0;
        foreach (JsonElement item in types.Items())
        {
            string wanted = expected(layer);
            JsonField type = types.Item(layer++, item);
            if (type.String() != wanted) throw ConfigFields.Unsupported(type, wanted);
        }
    }
}
