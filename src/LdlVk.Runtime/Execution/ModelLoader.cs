using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>Uploads the weights of a checkpoint, matrix by matrix; frees all of them if one fails.</summary>
internal sealed class ModelLoader(
    IDevice device, Checkpoint checkpoint, LoadSettings settings, IProgress<LoadProgress>? progress, CancellationToken cancellation)
    : IProgress<long>
{
    private readonly WeightsOnDevice _weights = new(device, cancellation);
    private readonly long _total = ModelMemory.Of(checkpoint.Config, checkpoint.Head, settings.Weights, settings.Heads).WeightBytes;
    private long _done;

    public ScoringEngine Load()
    {
        try
        {
            Gemma2Config config = checkpoint.Config;
            EmbeddingTable embedding = EmbeddingTable.Of(checkpoint.Tensor(Gemma2Tensors.Embedding), settings.EmbeddingScale);
            var layers = new Gemma2Layer[config.Layers];
            for (int i = 0; i < layers.Length; i++)
            {
                layers[i] = Gemma2Layer.Create($"layers.{i}.", name => Matrix(checkpoint.Tensor(name), settings.Weights), name => Vector(checkpoint.Tensor(name)));
                // What is on the device is not read again: without this a load counts the whole checkpoint as memory of the process.
                checkpoint.ForgetPages();
            }

            ITensor finalNorm = Vector(checkpoint.Tensor("norm.weight"));
            ITensor ropeTable = _weights.Rope(config);
            LdlHeads heads = checkpoint.Head;
            var head = new LdlHead(device, Mlp(heads.Regression), Mlp(heads.Gating), heads.GateTemperature);
            return new ScoringEngine(config, new Gemma2Model(device, config, embedding, layers, finalNorm, ropeTable) { Compute = settings.Compute }, head);
        }
        catch
        {
            _weights.Dispose();
            throw;
        }
    }

    void IProgress<long>.Report(long bytes)
    {
        _done += bytes;
        progress?.Report(new LoadProgress(_done, _total));
    }

    private LinearLayer[] Mlp(IReadOnlyList<HeadLayer> layers) =>
        [.. layers.Select(layer => new LinearLayer(Matrix(layer.Weight, settings.Heads), Vector(layer.Bias)))];

    private IWeight Matrix(CheckpointTensor tensor, WeightFormat format) => _weights.Matrix(WeightSource.Create(tensor, format), this);

    private ITensor Vector(CheckpointTensor tensor)
    {
        float[] values = new float[tensor.Count];
        tensor.Read(0, values);
        return _weights.Vector(values);
    }
}
