using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>Some consecutive layers of a model on one device. Not thread-safe. Owns the weights, not the device.</summary>
/// <param name="weights">The layers, and what comes before the first or after the last.</param>
/// <param name="owned">All that is to be freed with the stage.</param>
internal sealed class Stage(StageWeights weights, WeightsOnDevice owned) : IDisposable
{
    public StageWeights Weights => weights;

    /// <summary>
    /// Whether not all of its layers are on the device at a time, so that a layer has to meet a whole wave before the next.
    /// </summary>
    public bool Streams => weights.Layers is StreamedLayers;

    /// <summary>As errors and timelines name it.</summary>
    public string Name => weights.IsWhole
        ? $"{weights.Device.Info.Id} ({weights.Device.Info.Name})"
        : $"{weights.Device.Info.Id} ({weights.Device.Info.Name}; layers {weights.Layers.First} to {weights.Layers.End - 1} of "
            + $"{weights.Config.Layers})";

    public void Dispose() => owned.Dispose();
}
