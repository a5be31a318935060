using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>
/// A head that computes only the score: one linear layer, or several with ReLU between them (Skywork-Reward-Gemma-2: Liu et al. 2024,
/// "Skywork-Reward"; INF-ORM-Llama3.1's published modeling code; the value heads of GRM).
/// </summary>
internal sealed class ScoreHead : ModelHead
{
    private const string ClassifierPrefix = "score.", ValuePrefix = "v_head.summary.";

    private readonly string _prefix;

    private ScoreHead(IReadOnlyList<HeadLayer> network, string prefix) => (Network, _prefix) = (network, prefix);

    /// <summary>The head of a sequence classifier.</summary>
    public static HeadKind Classifier { get; } = KindOf(ClassifierPrefix, "Skywork-Reward-Gemma-2, INF-ORM-Llama3.1");

    /// <summary>The value head of GRM.</summary>
    public static HeadKind ValueHead { get; } = KindOf(ValuePrefix, "GRM");

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
        (_, 1, "gemma2") => "a linear head (Skywork-Reward-Gemma-2)",
        (_, 2, "llama") => "a head of two layers (INF-ORM-Llama3.1)",
        _ => "a head that gives the score alone",
    };

    /// <inheritdoc/>
    internal override RewardHead BuildOn(IDevice device, Func<HeadLayer, LinearLayer> upload) =>
        new OnDevice(device, [.. Network.Select(upload)]);

    private static HeadKind KindOf(string prefix, string models) => new(
        $"tensors {prefix}*", models, [],
        folder => folder.Names.Any(name => name.StartsWith(prefix, StringComparison.Ordinal)),
        (folder, hiddenSize) => Read(folder.Module(prefix), prefix, hiddenSize));

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
