using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Model.Heads;

namespace LdlVk.Runtime.Execution;

/// <summary>Where a model's weights come from, by their names in a checkpoint. Thread-safe.</summary>
internal interface IModelWeights
{
    /// <summary>The model's shape.</summary>
    BackboneConfig Config { get; }

    /// <summary>The format in which <see cref="Matrix"/> gives the backbone's matrices.</summary>
    WeightFormat Format { get; }

    /// <summary>The token embeddings.</summary>
    EmbeddingTable Embedding();

    /// <summary>A matrix of the backbone.</summary>
    IWeightSource Matrix(string name);

    /// <summary>Returns a bias, or the weights of a norm with the architecture's offset added.</summary>
    float[] Vector(string name);

    /// <summary>The head; null for a backbone alone.</summary>
    ModelHead? Head { get; }

    /// <summary>The format in which the head's matrices go to the device.</summary>
    WeightFormat HeadFormat { get; }

    /// <summary>Frees what was read into memory and can be read again.</summary>
    void Forget();
}

/// <summary>The weights of a checkpoint.</summary>
internal sealed class CheckpointWeights(Checkpoint checkpoint, LoadSettings settings) : IModelWeights
{
    public BackboneConfig Config => checkpoint.Config;

    public WeightFormat Format => settings.Weights;

    public ModelHead Head => checkpoint.Head;

    public WeightFormat HeadFormat => settings.Heads;

    public EmbeddingTable Embedding() =>
        EmbeddingTable.Of(checkpoint, settings.EmbeddingScale);

    public IWeightSource Matrix(string name) => checkpoint.Weight(name, settings.Weights);

    public float[] Vector(string name)
    {
        float[] values = checkpoint.Vector(name);
        if (BackboneTensors.IsNorm(name) && Config.Architecture.NormOffset is var offset and not 0)
            for (int i = 0; i < values.Length; i++) values[i] += offset;
        return values;
    }

    public void Forget() => checkpoint.Forget();
}
