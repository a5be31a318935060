using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>
/// A name under which models keep a head of linear layers, and the rule by which their code chooses the token that it reads. To add one,
/// add a line to <see cref="All"/>.
/// </summary>
/// <param name="Name">The head's module, such as <c>v_head.summary</c>.</param>
/// <param name="Models">Published models with such a head.</param>
/// <param name="Reads">The rule, for a head of one layer.</param>
/// <param name="Words">The head in words.</param>
internal sealed record LinearKind(string Name, string Models, ReadRule Reads, string Words)
{
    /// <summary>The file in which older versions of TRL save a value head.</summary>
    private const string ValueFile = "value_head.bin";

    /// <summary>The head of a sequence classifier.</summary>
    public static LinearKind Classifier { get; } = new(
        "score", "Skywork-Reward, INF-ORM-Llama3.1, Qwen2.5-Math-RM", ReadRule.RightmostNotPad, "a linear head");

    /// <summary>The value head of GRM, and of TRL and LLaMA-Factory, which save it in a file of its own.</summary>
    public static LinearKind ValueSummary { get; } = new("v_head.summary", "GRM, TRL", ReadRule.LastToken, "a value head (GRM)");

    /// <summary>The value head of Starling; InternLM2's is read at its reward token.</summary>
    public static LinearKind Value { get; } = new("v_head", "Starling, InternLM2", ReadRule.BeforeFirstPad, "a value head (Starling)");

    /// <summary>The value head of OpenRLHF; <c>value_head_prefix</c> of config.json may rename it.</summary>
    public static LinearKind OpenRlhf { get; } = new("value_head", "OpenRLHF", ReadRule.LastToken, "a value head (OpenRLHF)");

    /// <summary>The head of UltraRM and Eurus-RM.</summary>
    public static LinearKind Regression { get; } = new(
        "regression_head", "UltraRM, Eurus-RM", ReadRule.LastToken, "a regression head (UltraRM)");

    /// <summary>The head of safe-rlhf.</summary>
    public static LinearKind SafeRlhf { get; } = new("score_head", "Beaver (safe-rlhf)", ReadRule.LastToken, "a score head (safe-rlhf)");

    /// <summary>All names.</summary>
    public static IReadOnlyList<LinearKind> All { get; } = [Classifier, ValueSummary, Value, OpenRlhf, Regression, SafeRlhf];

    /// <summary>Prefix of its tensors' names.</summary>
    public string Prefix => Name + ".";

    /// <summary>The kind of head with this name.</summary>
    public HeadKind Kind => new(
        Name, $"tensors {Prefix}*", Models, this == ValueSummary ? [ShardedTensors.ValueHeadName, ValueFile] : [], IsIn, Read);

    /// <summary>The field of config.json with which OpenRLHF names a head.</summary>
    public const string PrefixField = "value_head_prefix";

    /// <summary>
    /// The kind that <c>value_head_prefix</c> of config.json names, if the folder has such tensors; null for none. It is OpenRLHF's, also
    /// under the name of another's; only a classifier's may be one of both, and TRL's scores steps too.
    /// </summary>
    public static LinearKind? Configured(CheckpointFolder folder)
    {
        string? name = ConfiguredName(folder);
        if (string.IsNullOrEmpty(name) || !folder.Contains(name + ".weight")) return null;
        return name == Classifier.Name ? Classifier : name == ValueSummary.Name ? ValueSummary : OpenRlhf with { Name = name };
    }

    /// <summary>The value of <c>value_head_prefix</c> in config.json; null if it is absent.</summary>
    public static string? ConfiguredName(CheckpointFolder folder) =>
        folder.ReadConfig(fields => fields.Root.TryGet(PrefixField, out JsonField prefix) ? prefix.String() : null);

    /// <summary>The head's name, with the published models that have such a head.</summary>
    public string Title(int layers, Architecture backbone) => (Name, layers, backbone.ModelType) switch
    {
        ("score", 1, "gemma2") => "a linear head (Skywork-Reward-Gemma-2)",
        ("score", 2, "llama") => "a head of two layers (INF-ORM-Llama3.1)",
        ("score", 2, "qwen2") => "a head of two layers (Qwen2.5-Math-RM)",
        ("score", > 1, _) => "a head that gives the score alone",
        ("v_head", _, "internlm2") => "a value head (InternLM2)",
        _ => Words,
    };

    private bool IsIn(CheckpointFolder folder) => this == ValueSummary && folder.Converted is null && folder.HasFile(ValueFile)
        || folder.Names.Any(name => name.StartsWith(Prefix, StringComparison.Ordinal)
            // Other heads have these prefixes too.
            && !(this == Value && name.StartsWith(ValueSummary.Prefix, StringComparison.Ordinal)))
        && !(this == Classifier && UrmHead.IsIn(folder));

    private ModelHead Read(HeadSource source)
    {
        CheckpointFolder folder = source.Folder;
        StateDict module = this == ValueSummary && !folder.Names.Any(name => name.StartsWith(Prefix, StringComparison.Ordinal))
            ? folder.TorchModule(ValueFile, "").Below(Prefix) : folder.Module(Prefix);
        HeadNetwork network = new(
            Prefix,
            module.Tensors.ContainsKey("weight")
                ? [HeadLayers.Single(module, Prefix, source.Config.HiddenSize)] : HeadLayers.Sequence(module, source.Config.HiddenSize),
            Activation.Relu);
        if (StepHead.Claims(source, this, network)) return StepHead.Of(source, this, network);
        if (network.Outputs != 1)
            throw new CheckpointException(
                $"{network.Layers[^1].Weight.Name} in {module.Path} has {network.Outputs} outputs; a reward model's score is 1 number."
                + (network.Outputs == 2 ? (Notice)$" If these are the two classes of a step, choose {OptionName.Head.Of("steps")}." : ""));
        bool isOpenRlhf = Words == OpenRlhf.Words || this == Classifier;
        ScoreScaling? scaling = ScoreScaling.Read(folder, isOpenRlhf, isSafeRlhf: this == SafeRlhf);
        int? rewardToken = RewardToken(source);
        return new ScoreHead(this, network, scaling, rewardToken is null ? RuleOf(source, network) : ReadRule.LastToken)
        {
            RewardToken = rewardToken,
        };
    }

    /// <summary>The token behind every text at which InternLM2's head is read; null for other models.</summary>
    private int? RewardToken(HeadSource source)
    {
        if (this != Value) return null;
        int? token = source.Folder.ReadConfig(fields => fields.Root.TryGet("reward_token_id", out JsonField field)
            ? field.Integer(0, source.Config.VocabularySize - 1) : (int?)null);
        return token is null && source.Config.Architecture.ModelType == "internlm2"
            ? throw new CheckpointException(
                $"{CheckpointFolder.ConfigName} of {source.Folder.Path} lacks reward_token_id, the token at which InternLM2's head is "
                + $"read. Take {CheckpointFolder.ConfigName} from the original.")
            : token;
    }

    /// <summary>
    /// A classifier of one layer is that of transformers, unless config.json has the field of OpenRLHF, whose code reads the last token;
    /// one of several layers has code of its own, as INF-ORM published it.
    /// </summary>
    private ReadRule RuleOf(HeadSource source, HeadNetwork network) => this != Classifier ? Reads
        : network.Layers.Count > 1 ? ReadRule.BeforeFirstPad
        : Configured(source.Folder)?.Name == Name ? ReadRule.LastToken : Reads;
}
