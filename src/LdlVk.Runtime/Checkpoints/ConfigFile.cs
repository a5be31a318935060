using System.Text.Json;
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

    private readonly string _path;
    private readonly JsonElement _root;

    private ConfigFile(string path, JsonElement root)
    {
        _path = path;
        _root = root;
    }

    /// <summary>Reads the file.</summary>
    /// <exception cref="CheckpointException">A field is missing, malformed, out of bounds or asks for something that is not supported.</exception>
    public static (Gemma2Config Backbone, LdlSettings Heads) Read(string path) => JsonFile.Read(path, root =>
    {
        ConfigFile file = new(path, root);
        file.CheckSupported();
        return (file.ReadBackbone(), file.ReadHeads());
    });

    private void CheckSupported()
    {
        string modelType = Text("model_type") ?? throw Missing("model_type");
        if (modelType != "gemma2")
            throw new CheckpointException($"{_path}: the architecture model_type \"{JsonFile.Short(modelType)}\" is not supported. Supported: \"gemma2\" with LDL heads (LDL-Reward-Gemma-2).");
        string activation = Text("hidden_activation") ?? Text("hidden_act") ?? Gelu;
        if (activation != Gelu) throw Unsupported(Has("hidden_activation") ? "hidden_activation" : "hidden_act", JsonFile.Short(activation), Gelu);
        foreach (string flag in (string[])["attention_bias", "use_bidirectional_attention"])
            if (Flag(flag)) throw Unsupported(flag, "true", "false");
        foreach (string absent in (string[])["rope_scaling", "quantization_config"])
            if (Has(absent)) throw Unsupported(absent, JsonFile.Kind(_root.GetProperty(absent)), "null");
    }

    private Gemma2Config ReadBackbone()
    {
        Gemma2Config config = new()
        {
            HiddenSize = Integer("hidden_size", 1, 1 << 20),
            Layers = Integer("num_hidden_layers", 1, 1000),
            Heads = Integer("num_attention_heads", 1, 1 << 12),
            KeyValueHeads = Integer("num_key_value_heads", 1, 1 << 12),
            HeadDimension = Integer("head_dim", 2, 1 << 12, 256),
            IntermediateSize = Integer("intermediate_size", 1, 1 << 22),
            VocabularySize = Integer("vocab_size", 1, 1 << 24),
            MaxPositions = Integer("max_position_embeddings", 1, 1 << 24, 8192),
            RmsNormEpsilon = (float)Number(_root, "rms_norm_eps", 1e-30, 1, 1e-6),
            RopeTheta = ReadRopeTheta(),
            QueryPreAttentionScalar = Number(_root, "query_pre_attn_scalar", 1e-6, 1e9, 256),
            AttentionSoftcap = IsNull("attn_logit_softcapping") ? 0 : (float)Number(_root, "attn_logit_softcapping", 1e-3, 1e9, 50),
            SlidingWindow = IsNull("sliding_window") ? 0 : Integer("sliding_window", 1, int.MaxValue, 4096),
        };
        if (config.Heads % config.KeyValueHeads != 0)
            throw Wrong("num_key_value_heads", $"is {config.KeyValueHeads}, which does not divide num_attention_heads {config.Heads}");
        if (config.HeadDimension % 2 != 0) throw Wrong("head_dim", $"is {config.HeadDimension}; the rotary embedding needs an even number");
        if ((long)config.MaxPositions * config.HeadDimension > int.MaxValue)
            throw Wrong("max_position_embeddings", $"is {config.MaxPositions}, which times head_dim {config.HeadDimension} exceeds {int.MaxValue:N0}");
        CheckLayerTypes();
        return config;
    }

    /// <summary>Newer files name each layer's attention; the model's own pattern (even layers slide) is the only one there is.</summary>
    private void CheckLayerTypes()
    {
        if (!Has("layer_types")) return;
        JsonElement types = _root.GetProperty("layer_types");
        if (types.ValueKind != JsonValueKind.Array) throw Wrong("layer_types", $"is {JsonFile.Kind(types)}, not a list");
        int layer = 0;
        foreach (JsonElement type in types.EnumerateArray())
        {
            string expected = layer % 2 == 0 ? "sliding_attention" : "full_attention";
            if (type.ValueKind != JsonValueKind.String || !type.ValueEquals(expected)) throw Unsupported($"layer_types[{layer}]", JsonFile.Kind(type), expected);
            layer++;
        }
    }

    /// <summary>Newer files keep it in <c>rope_parameters</c>.</summary>
    private double ReadRopeTheta()
    {
        if (!Has("rope_parameters")) return Number(_root, "rope_theta", 1, 1e12, 10000);
        JsonElement rope = _root.GetProperty("rope_parameters");
        if (rope.ValueKind != JsonValueKind.Object) throw Wrong("rope_parameters", $"is {JsonFile.Kind(rope)}, not an object");
        if (rope.TryGetProperty("rope_type", out JsonElement type) && !(type.ValueKind == JsonValueKind.String && type.ValueEquals("default")))
            throw Unsupported("rope_parameters.rope_type", JsonFile.Kind(type), "default");
        return Number(rope, "rope_theta", 1, 1e12, 10000);
    }

    private LdlSettings ReadHeads()
    {
        // Defaults of the model's published code: GatingNN(temperature=config.get("temperature", 1.0), softmax=config.get("softmax", False)).
        float temperature = Flag("softmax") ? (float)Number(_root, "temperature", 1e-6, 1e6, 1) : 0;
        return new LdlSettings(Integer("num_objectives", 2, 1 << 20, 220), temperature);
    }

    /// <summary>Whether the field is there and not null.</summary>
    private bool Has(string field) => _root.TryGetProperty(field, out JsonElement value) && value.ValueKind != JsonValueKind.Null;

    private bool IsNull(string field) => _root.TryGetProperty(field, out JsonElement value) && value.ValueKind == JsonValueKind.Null;

    private string? Text(string field)
    {
        if (!Has(field)) return null;
        JsonElement value = _root.GetProperty(field);
        return value.ValueKind == JsonValueKind.String ? value.GetString() : throw Wrong(field, $"is {JsonFile.Kind(value)}, not text");
    }

    private bool Flag(string field)
    {
        if (!Has(field)) return false;
        JsonElement value = _root.GetProperty(field);
        return value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Wrong(field, $"is {JsonFile.Kind(value)}, not true or false");
    }

    private int Integer(string field, int least, int most, int? absent = null)
    {
        if (!_root.TryGetProperty(field, out JsonElement value)) return absent ?? throw Missing(field);
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetInt32(out int number) || number < least || number > most)
            throw Wrong(field, $"is {JsonFile.Kind(value)}, not an integer from {least} to {most:N0}");
        return number;
    }

    private double Number(JsonElement parent, string field, double least, double most, double absent)
    {
        if (!parent.TryGetProperty(field, out JsonElement value)) return absent;
        // Written so that a NaN fails too; JSON has none, but 1e999 reads as infinity.
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetDouble(out double number) || !(number >= least && number <= most))
            throw Wrong(field, $"is {JsonFile.Kind(value)}, not a number from {least} to {most}");
        return number;
    }

    private CheckpointException Missing(string field) => new($"{_path} lacks the field {field}. Use the config.json that was published with the weights.");

    private CheckpointException Wrong(string field, string what) => new($"{_path}: {field} {what}. Use the config.json that was published with the weights.");

    private CheckpointException Unsupported(string field, string value, string supported) =>
        new($"{_path}: {field} is {value}; only {supported} is supported.");
}
