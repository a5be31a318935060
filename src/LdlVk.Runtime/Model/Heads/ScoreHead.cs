using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>
/// A head that computes only the score: one linear layer, or several with ReLU between them (Skywork-Reward-Gemma-2: Liu et al. 2024,
/// "Skywork-Reward"; INF-ORM-Llama3.1's published modeling code; the value heads of GRM, TRL and OpenRLHF).
/// </summary>
internal sealed class ScoreHead : ModelHead
{
    private const string ClassifierPrefix = "score.", ValuePrefix = "v_head.summary.", OpenRlhfPrefix = "value_head.";

    /// <summary>The file in which older versions of TRL save a value head.</summary>
    private const string ValueFile = "value_head.bin";

    private readonly string _prefix;

    private ScoreHead(IReadOnlyList<HeadLayer> network, string prefix) => (Network, _prefix) = (network, prefix);

    /// <summary>The head of a sequence classifier.</summary>
    public static HeadKind Classifier { get; } = KindOf(ClassifierPrefix, "Skywork-Reward-Gemma-2, INF-ORM-Llama3.1");

    /// <summary>The value head of GRM, and of TRL and LLaMA-Factory, which save it in a file of its own.</summary>
    public static HeadKind ValueHead { get; } = new(
        $"tensors {ValuePrefix}*", "GRM, TRL", [ShardedTensors.ValueHeadName, ValueFile],
        folder => Has(folder, ValuePrefix) || (folder.Converted is null && folder.HasFile(ValueFile)),
        (folder, hiddenSize) => Read(
            Has(folder, ValuePrefix) ? folder.Module(ValuePrefix) : folder.TorchModule(ValueFile, "").Below(ValuePrefix),
            ValuePrefix, hiddenSize));

    /// <summary>The value head of OpenRLHF.</summary>
    public static HeadKind OpenRlhf { get; } = KindOf(OpenRlhfPrefix, "OpenRLHF");

    /// <summary>hidden → … → 1.</summary>
    public IReadOnlyList<HeadLayer> Network { get; }

    /// <inheritdoc/>
    public override string Name => "score";

    /// <inheritdoc/>
    public override string Summary => $"the score alone, by {Network.Count} linear layer{(Network.Count == 1 ? "" : "s")}";

    /// <summary>A classifier of one layer is that of transformers; one of several has code of its own, which INF-ORM published.</summary>
    internal override ReadRule Reads => _prefix != ClassifierPrefix ? ReadRule.LastToken
        : Network.Count == 1 ? ReadRule.RightmostNotPad : ReadRule.BeforeFirstPad;

    /// <inheritdoc/>
    internal override IEnumerable<HeadLayer> Layers => Network;

    /// <inheritdoc/>
    internal override IEnumerable<(string Name, CheckpointTensor Tensor)> Tensors => Network.SelectMany(layer => layer.Tensors(_prefix));

    /// <inheritdoc/>
    public override string Title(Architecture backbone) => (_prefix, Network.Count, backbone.ModelType) switch
    {
        (ValuePrefix, _, _) => "a value head (GRM)",
        (OpenRlhfPrefix, _, _) => "a value head (OpenRLHF)",
        (_, 1, "gemma2") => "a linear head (Skywork-Reward-Gemma-2)",
        (_, 2, "llama") => "a head of two layers (INF-ORM-Llama3.1)",
        _ => "a head that gives the score alone",
    };

    /// <inheritdoc/>
    internal override RewardHead BuildOn(IDevice device, Func<HeadLayer, LinearLayer> upload) =>
        new OnDevice(device, [.. Network.Select(upload)]);

    private static HeadKind KindOf(string prefix, string models) => new(
        $"tensors {prefix}*", models, [],
        folder => Has(folder, prefix),
        (folder, hiddenSize) => Read(folder.Module(prefix), prefix, hiddenSize));

    private static bool Has(CheckpointFolder folder, string prefix) =>
        folder.Names.Any(name => name.StartsWith(prefix, StringComparison.Ordinal));

    private static ScoreHead Read(StateDict module, string prefix, int hiddenSize)
    {
        IReadOnlyList<HeadLayer> layers = module.Tensors.ContainsKey("weight")
            ? [HeadLayers.Single(module, prefix, hiddenSize)] : HeadLayers.Sequence(module, hiddenSize);
        return layers[^1].Outputs == 1
            ? new ScoreHead(layers, prefix)
            : throw new CheckpointException(
                $"{layers[^1].Weight.Name} in {module.Path} has {layers[^1].Outputs} outputs; a reward model's score is 1 number.");
    }

    private sealed class OnDevice(IDevice device, IReadOnlyList<LinearLayer> network) : RewardHead
    {
        /// <inheritdoc/>
        public override PendingReadout Begin(ITensor hidden, int[] tokenCounts)
        {
            using ITensor scores = Run(device, network, hidden, Activation.Relu);
            return new PendingReadout(device.BeginRead(scores), tokenCounts, bins: 0, attributes: 0);
        }
    }
}
