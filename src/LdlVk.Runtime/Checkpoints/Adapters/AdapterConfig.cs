using System.Text.Json;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Checkpoints.Adapters;

/// <summary>
/// adapter_config.json of PEFT (huggingface/peft, src/peft/tuners/lora/config.py). LoRA, rsLoRA and DoRA are supported. A field that asks
/// for anything else is an error that names it. fan_in_fan_out is of GPT-2's matrices, and PEFT ignores it for linear layers.
/// </summary>
/// <param name="Base">Name of the base model, or its folder; null if the file does not say.</param>
/// <param name="Rank">Rank of the updates.</param>
/// <param name="Alpha">The numerator of their scale.</param>
/// <param name="IsRankStabilized">Whether the scale is alpha/√r (Kalajdzievski 2023, rsLoRA) instead of alpha/r.</param>
/// <param name="Ranks">Ranks of modules by patterns of their names.</param>
/// <param name="Alphas">Numerators of modules by patterns of their names.</param>
/// <param name="Targets">The modules that are changed.</param>
/// <param name="Saved">Modules that the adapter replaces.</param>
/// <param name="HasMagnitudes">Whether each update comes with magnitudes (DoRA).</param>
/// <param name="Biases">Which biases of the base model were trained, and are replaced.</param>
internal sealed record AdapterConfig(
    string? Base, int Rank, double Alpha, bool IsRankStabilized, AdapterPatterns<int> Ranks, AdapterPatterns<double> Alphas,
    AdapterTargets Targets, IReadOnlyList<string> Saved, bool HasMagnitudes, TrainedBiases Biases)
{
    /// <summary>The name of the file.</summary>
    public const string FileName = "adapter_config.json";

    private const int MaxRank = 1 << 14;
    private const double MaxAlpha = 1 << 20;

    /// <summary>Fields that ask for other arithmetic if they are set, and the name of that.</summary>
    private static readonly (string Field, string What)[] Refused =
    [
        ("lora_bias", "a bias of the update"), ("layer_replication", "replicated layers"),
        ("trainable_token_indices", "trained rows of the embedding table"), ("target_parameters", "updates of single parameters"),
        ("alora_invocation_tokens", "activated LoRA"), ("use_qalora", "QALoRA"), ("use_bdlora", "block-diagonal LoRA"),
        ("arrow_config", "routing among adapters"), ("velora_config", "VeLoRA"), ("kasa_config", "KaSA"),
        ("monteclora_config", "MonteCLoRA"),
    ];

    /// <summary>Ways to begin a training that leave the base model as it is.</summary>
    private static readonly string[] Beginnings = ["gaussian", "eva", "orthogonal"];

    /// <summary>Reads the file.</summary>
    /// <exception cref="CheckpointException">It is damaged, or asks for something that is not supported.</exception>
    public static AdapterConfig Read(string path) => JsonFile.Read(path, root =>
    {
        JsonField type = root.Get("peft_type");
        if (type.String() != "LORA") throw NotSupported(type, $"is {type.Kind}; of PEFT's adapters, LORA is supported");
        foreach ((string field, string what) in Refused)
            if (root.TryGet(field, out JsonField set) && IsSet(set)) throw NotSupported(set, $"asks for {what}, which is not supported");
        foreach (JsonProperty property in root.Members())
            if (property.Name.StartsWith("use_", StringComparison.Ordinal) && property.Name is not ("use_rslora" or "use_dora")
                && property.Value.ValueKind == JsonValueKind.True)
            {
                throw NotSupported(root.Member(Shown.Short(property.Name), property.Value), "is true, which is not known");
            }

        if (root.TryGet("init_lora_weights", out JsonField begun) && begun.Value.ValueKind == JsonValueKind.String
            && !Beginnings.Contains(begun.String()))
        {
            throw NotSupported(begun, $"is {begun.Kind}: such a training changes the base model too");
        }

        PatternTime time = new();
        return new AdapterConfig(
            root.TryGet("base_model_name_or_path", out JsonField name) ? name.String() : null,
            root.Get("r").Integer(1, MaxRank), root.Get("lora_alpha").Number(0, MaxAlpha),
            root.TryGet("use_rslora", out JsonField stabilized) && stabilized.Boolean(),
            AdapterPatterns<int>.Read(root, "rank_pattern", time, field => field.Integer(1, MaxRank)),
            AdapterPatterns<double>.Read(root, "alpha_pattern", time, field => field.Number(0, MaxAlpha)),
            AdapterTargets.Read(root, time), Strings(root, "modules_to_save") ?? [],
            root.TryGet("use_dora", out JsonField dora) && dora.Boolean(), BiasesOf(root));
    });

    /// <summary>Rank of a module's update.</summary>
    public int RankOf(string module) => Ranks.Of(module, Rank);

    /// <summary>The factor of a module's update.</summary>
    public float ScaleOf(string module)
    {
        int rank = RankOf(module);
        return (float)(Alphas.Of(module, Alpha) / (IsRankStabilized ? Math.Sqrt(rank) : rank));
    }

    private static TrainedBiases BiasesOf(JsonField root)
    {
        if (!root.TryGet("bias", out JsonField bias)) return TrainedBiases.None;
        return bias.String() switch
        {
            "none" => TrainedBiases.None,
            "lora_only" => TrainedBiases.OfTargets,
            "all" => TrainedBiases.All,
            _ => throw NotSupported(bias, $"is {bias.Kind}, not \"none\", \"lora_only\" or \"all\""),
        };
    }

    /// <summary>Returns a list of names, or one name; null if the field is absent or null.</summary>
    internal static IReadOnlyList<string>? Strings(JsonField root, string name)
    {
        if (!root.TryGet(name, out JsonField field)) return null;
        if (field.Value.ValueKind == JsonValueKind.String) return [field.String()];
        return [.. field.Items().Select((item, i) => field.Item(i, item).String())];
    }

    private static bool IsSet(JsonField field) => field.Value.ValueKind switch
    {
        JsonValueKind.False => false,
        JsonValueKind.Array => field.Items().Any(),
        JsonValueKind.Object => field.Members().Any(),
        _ => true,
    };

    private static CheckpointException NotSupported(JsonField field, string why) => field.Error($"{why}. {OtherFolder.Merge}");
}

/// <summary>The biases of a base model that were trained with an adapter, which holds them whole.</summary>
internal enum TrainedBiases
{
    /// <summary>None.</summary>
    None,
    /// <summary>Those of the modules that the adapter changes.</summary>
    OfTargets,
    /// <summary>All.</summary>
    All,
}
