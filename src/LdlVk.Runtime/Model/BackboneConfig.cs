using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>The hyperparameters of a decoder-only backbone, from config.json.</summary>
public sealed record BackboneConfig
{
    /// <summary>The architecture of the layers.</summary>
    public required Architecture Architecture { get; init; }
    /// <summary>Number of elements of a hidden state.</summary>
    public required int HiddenSize { get; init; }
    /// <summary>Number of decoder layers.</summary>
    public required int Layers { get; init; }
    /// <summary>Number of query heads.</summary>
    public required int Heads { get; init; }
    /// <summary>Number of KV heads.</summary>
    public required int KeyValueHeads { get; init; }
    /// <summary>Number of elements of a head; Heads·HeadDimension need not be HiddenSize.</summary>
    public required int HeadDimension { get; init; }
    /// <summary>Size of the feed-forward network: outputs of gate and up, inputs of down.</summary>
    public required int IntermediateSize { get; init; }
    /// <summary>Number of rows of the embedding table.</summary>
    public required int VocabularySize { get; init; }
    /// <summary>Maximum length of a text in tokens.</summary>
    public required int MaxPositions { get; init; }
    /// <summary>ε of every RMSNorm.</summary>
    public required float RmsNormEpsilon { get; init; }
    /// <summary>Base of the rotary embedding.</summary>
    public required double RopeTheta { get; init; }
    /// <summary>Scaling of the rotary frequencies; null for none.</summary>
    public RopeScaling? RopeScaling { get; init; }
    /// <summary>The part of a head that is rotated.</summary>
    public double RotaryPart { get; init; } = 1;
    /// <summary>The rotary embedding of layers with a sliding window; null for that of the others.</summary>
    public RotaryEmbedding? SlidingRope { get; init; }
    /// <summary>Attention scores are multiplied by 1/√ of this value.</summary>
    public required double QueryPreAttentionScalar { get; init; }
    /// <summary>Softcap of the attention scores; 0 for none.</summary>
    public float AttentionSoftcap { get; init; }
    /// <summary>Number of keys that a query sees in a layer with a sliding window, including its own; 0 for all.</summary>
    public int SlidingWindow { get; init; }
    /// <summary>For each layer whether it has a sliding window; null for the pattern of the architecture.</summary>
    public LayerFlags? SlidingLayers { get; init; }
    /// <summary>The projections of attention that have a bias.</summary>
    public AttentionBias AttentionBias { get; init; }
    /// <summary>Whether the three matrices of the feed-forward network have a bias.</summary>
    public bool HasFeedForwardBiases { get; init; }
    /// <summary>The gate's activation if config.json names another than the architecture's; otherwise null.</summary>
    public GateActivation? OtherActivation { get; init; }

    /// <summary>The activation of the feed-forward network's gate.</summary>
    public GateActivation GateActivation => OtherActivation ?? Architecture.GateActivation;

    /// <summary>The rotary embedding of layers without a sliding window.</summary>
    public RotaryEmbedding Rope => new(RopeTheta, RopeScaling, RotaryPart);

    /// <summary>Number of elements of all tensors.</summary>
    public long Parameters =>
        BackboneTensors.Of(this).Sum(tensor => tensor.Shape.Aggregate(1L, (product, dimension) => product * dimension));

    /// <summary>Number of layers with a sliding window.</summary>
    public int SlidingLayerCount => SlidingWindow == 0 ? 0 : Enumerable.Range(0, Layers).Count(IsSliding);

    /// <summary>Whether a layer has a sliding window.</summary>
    public bool IsSliding(int layer) =>
        SlidingLayers is { } sliding ? sliding[layer] : Architecture.IsSliding(layer);

    /// <summary>Returns the number of keys that a query sees in a layer, including its own; 0 for all.</summary>
    public int Window(int layer) => IsSliding(layer) ? SlidingWindow : 0;

    /// <summary>Returns the rotary embedding of a layer.</summary>
    public RotaryEmbedding RopeOf(int layer) => SlidingRope is { } sliding && IsSliding(layer) ? sliding : Rope;
}

/// <summary>A property of some layers. Equal to another of the same layers.</summary>
/// <param name="flags">For each layer whether it has the property.</param>
public sealed class LayerFlags(IEnumerable<bool> flags) : IEquatable<LayerFlags>
{
    private readonly bool[] _flags = [.. flags];

    /// <summary>Whether a layer has the property; false beyond the last layer.</summary>
    public bool this[int layer] => layer < _flags.Length && _flags[layer];

    /// <inheritdoc/>
    public bool Equals(LayerFlags? other) => other is not null && _flags.AsSpan().SequenceEqual(other._flags);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as LayerFlags);

    /// <inheritdoc/>
    public override int GetHashCode() => _flags.Length;
}

/// <summary>The projections of attention that have a bias.</summary>
public enum AttentionBias
{
    /// <summary>None.</summary>
    None,
    /// <summary>Query, key and value.</summary>
    Inputs,
    /// <summary>Query, key, value and output.</summary>
    All,
}
