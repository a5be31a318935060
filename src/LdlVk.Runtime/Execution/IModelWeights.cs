using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>Where a model's weights come from, by their names in a checkpoint. Thread-safe.</summary>
internal interface IModelWeights
{
    /// <summary>The model's shape.</summary>
    Gemma2Config Config { get; }

    /// <summary>The format in which <see cref="Matrix"/> gives the backbone's matrices.</summary>
    WeightFormat Format { get; }

    /// <summary>The token embeddings.</summary>
    EmbeddingTable Embedding();

    /// <summary>A matrix of the backbone.</summary>
    IWeightSource Matrix(string name);

    /// <summary>The weights of a norm.</summary>
    float[] Vector(string name);

    /// <summary>The heads; null for a backbone alone.</summary>
    HeadWeights? Head { get; }

    /// <summary>Lets go of what was read to give the weights so far.</summary>
    void Forget();
}

/// <summary>The layers of one head, first to last.</summary>
internal sealed record MlpWeights(IReadOnlyList<(IWeightSource Weight, float[] Bias)> Layers);

/// <summary>The heads' weights.</summary>
internal sealed record HeadWeights(MlpWeights Regression, MlpWeights Gating, float GateTemperature);

/// <summary>The weights of a checkpoint.</summary>
internal sealed class CheckpointWeights(Checkpoint checkpoint, LoadSettings settings) : IModelWeights
{
    public Gemma2Config Config => checkpoint.Config;

    public WeightFormat Format => settings.Weights;

    public HeadWeights Head => new(Mlp(checkpoint.Head.Regression), Mlp(checkpoint.Head.Gating), checkpoint.Head.GateTemperature);

    public EmbeddingTable Embedding() => EmbeddingTable.Of(checkpoint.Tensor(Gemma2Tensors.Embedding), settings.EmbeddingScale);

    public IWeightSource Matrix(string name) => checkpoint.Weight(name, settings.Weights);

    public float[] Vector(string name) => Read(checkpoint.Tensor(name));

    public void Forget() => checkpoint.ForgetPages();

    private MlpWeights Mlp(IReadOnlyList<HeadLayer> layers) =>
        new([.. layers.Select(layer => ((IWeightSource)WeightSource.Create(layer.Weight, settings.Heads), Read(layer.Bias)))]);

    private static float[] Read(CheckpointTensor tensor)
    {
        float[] values = new float[tensor.Count];
        tensor.Read(0, values);
        return values;
    }
}
