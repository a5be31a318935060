using System.Text.Json;
using LdlVk.Runtime.Json;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// The fields of a config.json. Every number has bounds far beyond any real model, so that no product of two of them overflows later;
/// what would change the arithmetic in a way that is not implemented is refused.
/// </summary>
internal sealed class ConfigFields(JsonField root)
{
    /// <summary>The fields that all architectures have; those of the rotary embedding and of attention are the architecture's to add.</summary>
    /// <param name="architecture">Which it is.</param>
    /// <param name="headDimension">head_dim where it is absent; null for hidden_size / num_attention_heads.</param>
    /// <param name="maxPositions">max_position_embeddings where it is absent.</param>
    public BackboneConfig Backbone(Architecture architecture, int? headDimension, int maxPositions)
    {
        int hidden = root.Get("hidden_size").Integer(1, 1 << 20), heads = root.Get("num_attention_heads").Integer(1, 1 << 12);
        BackboneConfig config = new()
        {
            Architecture = architecture,
            HiddenSize = hidden,
            Layers = root.Get("num_hidden_layers").Integer(1, 1000),
            Heads = heads,
            KeyValueHeads = root.Get("num_key_value_heads").Integer(1, 1 << 12),
            HeadDimension = Integer("head_dim", 2, 1 << 12, headDimension ?? Math.Max(2, hidden / heads)),
            IntermediateSize = root.Get("intermediate_size").Integer(1, 1 << 22),
            VocabularySize = root.Get("vocab_size").Integer(1, 1 << 24),
            MaxPositions = Integer("max_position_embeddings", 1, 1 << 24, maxPositions),
            RmsNormEpsilon = (float)Number("rms_norm_eps", 1e-30, 1, 1e-6),
            RopeTheta = 0,
            QueryPreAttentionScalar = 0,
        };
        if (config.Heads % config.KeyValueHeads != 0)
            throw Field("num_key_value_heads").Damaged($"is {config.KeyValueHeads}, which does not divide num_attention_heads {config.Heads}");
        if (config.HeadDimension % 2 != 0) throw Field("head_dim").Damaged($"is {config.HeadDimension}; the rotary embedding needs an even number");
        if ((long)config.MaxPositions * config.HeadDimension > int.MaxValue)
            throw Field("max_position_embeddings").Damaged($"is {config.MaxPositions}, which times head_dim {config.HeadDimension} exceeds {int.MaxValue:N0}");
        return config;
    }

    /// <summary>The base of the rotary embedding. Newer files keep it in <c>rope_parameters</c>.</summary>
    public double RopeTheta() =>
        root.TryGet("rope_parameters", out JsonField rope) ? Number(rope, "rope_theta", 1, 1e12, 10000) : Number("rope_theta", 1, 1e12, 10000);

    /// <summary>The stretching of the rotary embedding; null for none.</summary>
    public RopeScaling? RopeScaling()
    {
        if (!root.TryGet("rope_parameters", out JsonField rope) && !root.TryGet("rope_scaling", out rope)) return null;
        JsonField type = rope.TryGet("rope_type", out JsonField named) ? named : rope.Get("type");
        if (type.String() == "default") return null;
        if (type.String() != "llama3") throw Unsupported(type, "\"llama3\" or \"default\"");
        double low = rope.Get("low_freq_factor").Number(1e-3, 1e6);
        JsonField high = rope.Get("high_freq_factor");
        if (high.Number(1e-3, 1e6) <= low) throw high.Damaged($"is {high.Kind}, not above low_freq_factor");
        return new RopeScaling(rope.Get("factor").Number(1, 1e6), low, high.Number(1e-3, 1e6), rope.Get("original_max_position_embeddings").Integer(1, 1 << 24));
    }

    /// <summary>Refuses an activation other than the architecture's, in the first of some fields that is there.</summary>
    public void RequireActivation(string activation, params ReadOnlySpan<string> fields)
    {
        foreach (string name in fields)
        {
            if (!root.TryGet(name, out JsonField field)) continue;
            if (field.String() != activation) throw Unsupported(field, activation);
            return;
        }
    }

    /// <summary>Refuses flags that are set.</summary>
    public void RequireFalse(params ReadOnlySpan<string> flags)
    {
        foreach (string flag in flags)
            if (root.TryGet(flag, out JsonField set) && set.Boolean()) throw Unsupported(set, "false");
    }

    /// <summary>Refuses a stretching of the rotary embedding, in whichever spelling.</summary>
    public void RequireNoRopeScaling()
    {
        if (root.TryGet("rope_scaling", out JsonField scaling)) throw Unsupported(scaling, "null");
        if (root.TryGet("rope_parameters", out JsonField rope) && (rope.TryGet("rope_type", out JsonField type) || type.IsNull) && type.String() != "default")
            throw Unsupported(type, "default");
    }

    /// <summary>Newer files name each layer's attention; the architecture's own pattern is the only one there is.</summary>
    public void RequireLayerTypes(Func<int, string> expected)
    {
        if (!root.TryGet("layer_types", out JsonField types)) return;
        int layer = 0;
        foreach (JsonElement item in types.Items())
        {
            string wanted = expected(layer);
            JsonField type = types.Item(layer++, item);
            if (type.String() != wanted) throw Unsupported(type, wanted);
        }
    }

    /// <summary>What it says about LDL heads; the defaults are those of the model's published code.</summary>
    public LdlSettings LdlHeads()
    {
        // GatingNN(temperature=config.get("temperature", 1.0), softmax=config.get("softmax", False))
        float temperature = root.TryGet("softmax", out JsonField softmax) && softmax.Boolean() ? (float)Number("temperature", 1e-6, 1e6, 1) : 0;
        return new LdlSettings(Integer("num_objectives", 2, 1 << 20, 220), temperature);
    }

    /// <summary>Whether a field is there and null.</summary>
    public bool IsNull(string field) => !root.TryGet(field, out JsonField found) && found.IsNull;

    /// <summary>A whole number; the default is for what is absent, a null is refused.</summary>
    public int Integer(string field, int least, int most, int absent) =>
        root.TryGet(field, out JsonField found) || found.IsNull ? found.Integer(least, most) : absent;

    /// <summary>A number, likewise.</summary>
    public double Number(string field, double least, double most, double absent) => Number(root, field, least, most, absent);

    private static double Number(JsonField parent, string field, double least, double most, double absent) =>
        parent.TryGet(field, out JsonField found) || found.IsNull ? found.Number(least, most) : absent;

    /// <summary>A field for an error about it, be it there or its default.</summary>
    private JsonField Field(string name) => root.Member(name, default);

    private static CheckpointException Unsupported(JsonField field, string supported) => field.Error($"is {field.Kind}; only {supported} is supported.");
}
