namespace LdlVk.Runtime.Model;

/// <summary>The weights of consecutive layers on a device: all of them resident, or some streamed.</summary>
internal interface ILayerWeights
{
    /// <summary>The first layer, counted in the model.</summary>
    int First { get; }

    /// <summary>The layer after the last.</summary>
    int End { get; }

    /// <summary>
    /// The layers in order. The weights of each are good for ops until the next one is asked for, or the end: then all ops of the layer
    /// must have been queued, for its memory may take in other weights.
    /// </summary>
    IEnumerable<DecoderLayer> InOrder();
}

/// <summary>Layers that are all on the device.</summary>
internal sealed class ResidentLayers(int first, DecoderLayer[] layers) : ILayerWeights
{
    public int First => first;

    public int End => first + layers.Length;

    public IEnumerable<DecoderLayer> InOrder() => layers;
}
