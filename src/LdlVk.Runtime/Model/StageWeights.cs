using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model.Heads;

namespace LdlVk.Runtime.Model;

/// <summary>
/// The part of a model on one device: consecutive layers, and the embeddings or the final norm and head if it has the first or last layer.
/// </summary>
/// <param name="Device">The device that holds the weights.</param>
/// <param name="Config">The whole model.</param>
/// <param name="Embedding">The embeddings, only in the first stage.</param>
/// <param name="Layers">The layers.</param>
/// <param name="Rope">The rotary angles.</param>
/// <param name="FinalNorm">The norm after the last layer, [1, hidden], only in the last stage.</param>
/// <param name="Head">The head, only in the last stage; null for a backbone without a head.</param>
internal sealed record StageWeights(
    IDevice Device,
    BackboneConfig Config,
    EmbeddingTable? Embedding,
    ILayerWeights Layers,
    RopeTable Rope,
    ITensor? FinalNorm,
    RewardHead? Head)
{
    /// <summary>Rows of gate and up at a time, if more than the device's least number (<see cref="Model.FeedForwardRows"/>).</summary>
    public int FeedForwardRows { get; init; }

    /// <summary>Whether it has the first layer.</summary>
    public bool IsFirst => Embedding is not null;

    /// <summary>Whether it has the last layer.</summary>
    public bool IsLast => FinalNorm is not null;

    /// <summary>Whether it has all layers.</summary>
    public bool IsWhole => Layers.End - Layers.First == Config.Layers;
}
