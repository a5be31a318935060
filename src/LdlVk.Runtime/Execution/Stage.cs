using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>Some consecutive layers of a model on one device. Not thread-safe. Owns the weights, not the device.</summary>
/// <param name="weights">The layers; with the embedding before the first layer, and the head after the last.</param>
/// <param name="owned">What is disposed with the stage.</param>
internal sealed class Stage(StageWeights weights, WeightsOnDevice owned) : IDisposable
{
    /// <summary>The keys and values that it keeps of texts before.</summary>
    public StageCache Cache { get; } = new(
        weights.Device, weights.Config, weights.Layers.First, weights.Layers.End - weights.Layers.First);

    public StageWeights Weights => weights;

    /// <summary>
    /// Whether it streams layers: each layer then computes a whole wave before the next one.
    /// </summary>
    public bool Streams => weights.Layers is StreamedLayers;

    /// <summary>Its name in errors and timelines.</summary>
    public string Name => weights.IsWhole
        ? $"{weights.Device.Info.Id} ({weights.Device.Info.Name})"
        : $"{weights.Device.Info.Id} ({weights.Device.Info.Name}; layers {weights.Layers.First} to {weights.Layers.End - 1} of "
            + $"{weights.Config.Layers})";

    public void Dispose()
    {
        Cache.Dispose();
        owned.Dispose();
    }
}
