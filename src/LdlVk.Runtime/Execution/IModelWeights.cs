using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

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

    /// <summary>The weights of a norm, by which rows are multiplied: the architecture's offset is in them.</summary>
    float[] Vector(string name);

    /// <summary>The heads; null for a backbone alone.</summary>
    HeadWeights? Head { get; }

    /// <summary>Lets go of what was read to give the weights so far.</summary>
    void Forget();
}

/// <summary>The layers of one head, first to last.</summary>
internal sealed record MlpWeights(IReadOnlyList<(IWeightSource Weight, float[]? Bias)> Layers);

/// <summary>A head's weights.</summary>
internal abstract record HeadWeights;

/// <summary>Those of <see cref="LdlHead"/>.</summary>
internal sealed record LdlHeadWeights(MlpWeights Regression, MlpWeights Gating, float GateTemperature) : HeadWeights;

/// <summary>Those of <see cref="LinearScoreHead"/>.</summary>
internal sealed record ScoreHeadWeights(MlpWeights Network) : HeadWeights;

/// <summary>The weights of a checkpoint.</summary>
internal sealed class CheckpointWeights(Checkpoint checkpoint, LoadSettings settings) : IModelWeights
{
    public BackboneConfig Config => checkpoint.Config;

    public WeightFormat Format => settings.Weights;

    public HeadWeights Head => checkpoint.Head switch
    {
        LdlHeads ldl => new LdlHeadWeights(Mlp(ldl.Regression), Mlp(ldl.Gating), ldl.GateTemperature),
        ScoreHead score => new ScoreHeadWeights(Mlp(score.Network)),
        _ => throw new InvalidOperationException($"{checkpoint.Head.GetType()} is no head that is known."),
    };

    public EmbeddingTable Embedding() => EmbeddingTable.Of(checkpoint.Tensor(BackboneTensors.Embedding), Config.Architecture, settings.EmbeddingScale);

    public IWeightSource Matrix(string name) => checkpoint.Weight(name, settings.Weights);

    public float[] Vector(string name)
    {
        float[] values = Read(checkpoint.Tensor(name));
        if (Config.Architecture.NormOffset is var offset and not 0)
            for (int i = 0; i < values.Length; i++) values[i] += offset;
        return values;
    }

    public void Forget() => checkpoint.ForgetPages();

    private MlpWeights Mlp(IReadOnlyList<HeadLayer> layers) =>
        new([.. layers.Select(layer => ((IWeightSource)WeightSource.Create(layer.Weight, settings.Heads), layer.Bias is null ? null : Read(layer.Bias)))]);

    private static float[] Read(CheckpointTensor tensor)
    {
        float[] values = new float[tensor.Count];
        tensor.Read(0, values);
        return values;
    }
}
