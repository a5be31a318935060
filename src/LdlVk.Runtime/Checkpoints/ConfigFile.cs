using System.Text.Json;
using LdlVk.Runtime.Json;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>What config.json says about the LDL heads.</summary>
/// <param name="Objectives">Outputs of the regression head (<c>num_objectives</c>).</param>
/// <param name="GateTemperature">Divides the gates before their softmax; 0 where they are used raw (<c>softmax</c> false).</param>
internal readonly record struct LdlSettings(int Objectives, float GateTemperature);

/// <summary>
/// Reads config.json of a Gemma-2 checkpoint. What is absent takes the default of Hugging Face's Gemma2Config, what would change the
/// arithmetic in a way that is not implemented is refused, and every number has bounds far beyond any real model, so that no product of
/// two of them overflows later.
/// </summary>
internal sealed class ConfigFile
{
    private const string Gelu = "gelu_pytorch_tanh";

    private readonly JsonField _root;

    private ConfigFile(JsonField root) => _root = root;

    /// <summary>Reads the file.</summary>
    /// <returns>The numbers, and whether <c>ldlvk convert</c> wrote the file.</returns>
    /// <exception cref="CheckpointException">A field is missing, malformed, out of bounds or asks for something that is not supported.</exception>
    public static (Gemma2Config Backbone, LdlSettings Heads, bool IsConverted) Read(string path) => JsonFile.Read(path, root =>
    {
        ConfigFile file = new(root);
        file.CheckSupported();
        return (file.ReadBackbone(), file.ReadHeads(), file._root.TryGet(ConvertedFormat.ConfigField, out _));
    });

    private void CheckSupported()
    {
        JsonField modelType = _root.Get("model_type");
        if (modelType.String() != "gemma2")
            throw modelType.Error($"{modelType.Kind} is not supported. Supported architecture: \"gemma2\" with LDL heads (LDL-Reward-Gemma-2).");
        if ((_root.TryGet("hidden_activation", out JsonField activation) || _root.TryGet("hidden_act", out activation)) && activation.String() != Gelu)
            throw Unsupported(activation, Gelu);
        foreach (string flag in (string[])["attention_bias", "use_bidirectional_attention"])
            if (_root.TryGet(flag, out JsonField set) && set.Boolean()) throw Unsupported(set, "false");
        if (_root.TryGet("rope_scaling", out JsonField scaling)) throw Unsupported(scaling, "null");
        if (_root.TryGet(ConvertedFormat.ConfigField, out JsonField quantised) && quantised.Get(ConvertedFormat.MethodField) is var method && method.String() != ConvertedFormat.Method)
            throw method.Error($"is {method.Kind}; supported are weights that are not quantised, and those that ldlvk convert wrote (\"{ConvertedFormat.Method}\").");
    }

    private Gemma2Config ReadBackbone()
    {
        Gemma2Config config = new()
        {
            HiddenSize = _root.Get("hidden_size").Integer(1, 1 << 20),
            Layers = _root.Get("num_hidden_layers").Integer(1, 1000),
            Heads = _root.Get("num_attention_heads").Integer(1, 1 << 12),
            KeyValueHeads = _root.Get("num_key_value_heads").Integer(1, 1 << 12),
            HeadDimension = Integer("head_dim", 2, 1 << 12, 256),
            IntermediateSize = _root.Get("intermediate_size").Integer(1, 1 << 22),
            VocabularySize = _root.Get("vocab_size").Integer(1, 1 << 24),
            MaxPositions = Integer("max_position_embeddings", 1, 1 << 24, 8192),
            RmsNormEpsilon = (float)Number(_root, "rms_norm_eps", 1e-30, 1, 1e-6),
            RopeTheta = ReadRopeTheta(),
            QueryPreAttentionScalar = Number(_root, "query_pre_attn_scalar", 1e-6, 1e9, 256),
            AttentionSoftcap = IsNull("attn_logit_softcapping") ? 0 : (float)Number(_root, "attn_logit_softcapping", 1e-3, 1e9, 50),
            SlidingWindow = IsNull("sliding_window") ? 0 : Integer("sliding_window", 1, int.MaxValue, 4096),
        };
        if (config.Heads % config.KeyValueHeads != 0)
            throw Field("num_key_value_heads").Damaged($"is {config.KeyValueHeads}, which does not divide num_attention_heads {config.Heads}");
        if (config.HeadDimension % 2 != 0) throw Field("head_dim").Damaged($"is {config.HeadDimension}; the rotary embedding needs an even number");
        if ((long)config.MaxPositions * config.HeadDimension > int.MaxValue)
            throw Field("max_position_embeddings").Damaged($"is {config.MaxPositions}, which times head_dim {config.HeadDimension} exceeds {int.MaxValue:N0}");
        CheckLayerTypes();
        return config;
    }

    /// <summary>Newer files name each layer's attention; the model's own pattern (even layers slide) is the only one there is.</summary>
    private void CheckLayerTypes()
    {
        if (!_root.TryGet("layer_types", out JsonField types)) return;
        int layer = 0;
        foreach (JsonElement item in types.Items())
        {
            string expected = layer % 2 == 0 ? "sliding_attention" : "full_attention";
            JsonField type = types.Item(layer++, item);
            if (type.String() != expected) throw Unsupported(type, expected);
        }
    }

    /// <summary>Newer files keep it in <c>rope_parameters</c>.</summary>
    private double ReadRopeTheta()
    {
        if (!_root.TryGet("rope_parameters", out JsonField rope)) return Number(_root, "rope_theta", 1, 1e12, 10000);
        if ((rope.TryGet("rope_type", out JsonField type) || type.IsNull) && type.String() != "default") throw Unsupported(type, "default");
        return Number(rope, "rope_theta", 1, 1e12, 10000);
    }

    private LdlSettings ReadHeads()
    {
        // Defaults of the model's published code: GatingNN(temperature=config.get("temperature", 1.0), softmax=config.get("softmax", False)).
        float temperature = _root.TryGet("softmax", out JsonField softmax) && softmax.Boolean() ? (float)Number(_root, "temperature", 1e-6, 1e6, 1) : 0;
        return new LdlSettings(Integer("num_objectives", 2, 1 << 20, 220), temperature);
    }

    private bool IsNull(string field) => !_root.TryGet(field, out JsonField found) && found.IsNull;

    /// <summary>The default is for what is absent; a null is refused.</summary>
    private int Integer(string field, int least, int most, int absent) =>
        _root.TryGet(field, out JsonField found) || found.IsNull ? found.Integer(least, most) : absent;

    private static double Number(JsonField parent, string field, double least, double most, double absent) =>
        parent.TryGet(field, out JsonField found) || found.IsNull ? found.Number(least, most) : absent;

    /// <summary>A field for an error about it, be it there or its default.</summary>
    private JsonField Field(string name) => _root.Member(name, default);

    private static CheckpointException Unsupported(JsonField field, string supported) => field.Error($"is {field.Kind}; only {supported} is supported.");
}
