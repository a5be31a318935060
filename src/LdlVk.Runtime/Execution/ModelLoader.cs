using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>Uploads the weights of a checkpoint, matrix by matrix; frees all of them if one fails.</summary>
internal sealed class ModelLoader(
    IDevice device, Checkpoint checkpoint, LoadSettings settings, IProgress<LoadProgress>? progress, CancellationToken cancellation)
    : IProgress<long>
{
    private readonly List<IDisposable> _made = [];
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
            ITensor ropeTable = Tensor(RopeTable.Compute(config.MaxPositions, config.HeadDimension, config.RopeTheta), config.MaxPositions);
            LdlHeads heads = checkpoint.Head;
            var head = new LdlHead(device, Mlp(heads.Regression), Mlp(heads.Gating), heads.GateTemperature);
            return new ScoringEngine(config, new Gemma2Model(device, config, embedding, layers, finalNorm, ropeTable) { Compute = settings.Compute }, head);
        }
        catch
        {
            foreach (IDisposable made in _made) made.Dispose();
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

    private IWeight Matrix(CheckpointTensor tensor, WeightFormat format) =>
        Keep(device.CreateWeight(WeightSource.Create(tensor, format), this, cancellation));

    private ITensor Vector(CheckpointTensor tensor)
    {
        cancellation.ThrowIfCancellationRequested();
        float[] values = new float[tensor.Count];
        tensor.Read(0, values);
        return Tensor(values, 1);
    }

    private ITensor Tensor(float[] values, int rows)
    {
        ITensor tensor = Keep(device.CreateTensor(rows, values.Length / rows));
        device.Write(tensor, 0, values);
        return tensor;
    }

    private T Keep<T>(T made) where T : IDisposable
    {
        _made.Add(made);
        return made;
    }
}
