namespace LdlVk.Runtime.Model;

/// <summary>The weights of consecutive layers on a device: all of them resident, or some brought in when their turn comes.</summary>
internal interface ILayerWeights
{
    /// <summary>The first layer, counted in the model.</summary>
    int First { get; }

    /// <summary>The layer after the last.</summary>
    int End { get; }

    /// <summary>The weights of a layer, good for ops until <see cref="Finish"/>.</summary>
    DecoderLayer Begin(int layer);

    /// <summary>Says that all ops of a layer have been called: its memory may take other weights in.</summary>
    void Finish(int layer);
}

/// <summary>Layers that are all on the device.</summary>
internal sealed class ResidentLayers(int first, DecoderLayer[] layers) : ILayerWeights
{
    public int First => first;

    public int End => first + layers.Length;

    public DecoderLayer Begin(int layer) => layers[layer - first];

    public void Finish(int layer)
    {
        // They stay.
    }
}
