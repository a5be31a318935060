namespace LdlVk.Runtime.Model;

/// <summary>The weights of consecutive layers on a device: all of them resident, or some streamed.</summary>
internal interface ILayerWeights
{
    /// <summary>Index of the first layer in the model.</summary>
    int First { get; }

    /// <summary>Index of the layer after the last one.</summary>
    int End { get; }

    /// <summary>The norms and biases of a layer, counted in the model. They are always resident.</summary>
    LayerVectors VectorsOf(int layer);

    /// <summary>
    /// Returns the layers in order. The weights of a layer are valid until the next layer is requested, or until the end. All ops of the
    /// layer must have been queued by then, because its memory may be reused for other weights.
    /// </summary>
    IEnumerable<DecoderLayer> InOrder();
}

/// <summary>Layers that are all on the device.</summary>
internal sealed class ResidentLayers(int first, DecoderLayer[] layers) : ILayerWeights
{
    public int First => first;

    public int End => first + layers.Length;

    public LayerVectors VectorsOf(int layer) => layers[layer - first].Vectors;

    public IEnumerable<DecoderLayer> InOrder() => layers;
}
