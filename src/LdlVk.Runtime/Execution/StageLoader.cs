using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Model.Heads;

namespace LdlVk.Runtime.Execution;

/// <summary>Puts a stage of a model on its device, matrix by matrix; frees everything if one fails.</summary>
internal sealed class StageLoader(
    IDevice device, IModelWeights model, StageLayers layers, IProgress<long>? progress, ITimeline? timeline,
    CancellationToken cancellationToken)
{
    private readonly WeightsOnDevice _weights = new(device, cancellationToken);

    public Stage Load()
    {
        try
        {
            BackboneConfig config = model.Config;
            EmbeddingTable? embedding = layers.First == 0 ? model.Embedding() : null;
            ILayerWeights weights = layers.Streamed == 0 ? Resident() : Streamed();
            bool isLast = layers.End == config.Layers;
            ITensor? finalNorm = isLast ? Vector("norm.weight") : null;
            RewardHead? head = isLast ? Head() : null;
            return new Stage(new StageWeights(device, config, embedding, weights, _weights.Rope(config), finalNorm, head)
            {
                FeedForwardRows = layers.FeedForwardRows,
            }, _weights);
        }
        catch
        {
            _weights.Dispose();
            throw;
        }
    }

    private ResidentLayers Resident() =>
        new(layers.First,
            [.. Numbers().Select(layer => new DecoderLayer(layer, Matrices(layer),
                LayerVectors.Create(model.Config, layer, Vector)))]);

    private StreamedLayers Streamed()
    {
        var vectors = new LayerVectors[layers.Count];
        var resident = new LayerMatrices?[layers.Count];
        var sources = new IReadOnlyList<IWeightSource>?[layers.Count];
        // The slots come first: if device memory is short, loading fails, not scoring.
        LayerMatrices[] slots = [.. Enumerable.Range(0, layers.Slots).Select(_ => LayerMatrices.Create(layers.First, Empty))];
        for (int i = 0; i < layers.Count; i++)
        {
            int layer = layers.First + i;
            vectors[i] = LayerVectors.Create(model.Config, layer, Vector);
            if (StreamedLayers.IsStreamed(i, layers.Count, layers.Streamed)) sources[i] = [.. LayerMatrices.Names(layer).Select(Streamed)];
            else resident[i] = Matrices(layer);
            model.Forget();
        }

        return new StreamedLayers(device, layers.First, vectors, resident, sources, slots, timeline);
    }

    private IEnumerable<int> Numbers() => Enumerable.Range(layers.First, layers.Count);

    private LayerMatrices Matrices(int layer)
    {
        LayerMatrices matrices = LayerMatrices.Create(layer, name => _weights.Matrix(model.Matrix(name), progress));
        // What was uploaded is not read again.
        model.Forget();
        return matrices;
    }

    /// <summary>
    /// Returns the source of a streamed matrix: host memory that the device reads fastest, or the file, which is then read each time.
    /// </summary>
    private IWeightSource Streamed(string name)
    {
        cancellationToken.ThrowIfCancellationRequested();
        IWeightSource source = model.Matrix(name);
        return layers.InHostMemory ? _weights.Pin(source, progress) : source;
    }

    private IWeight Empty(string name)
    {
        int[] shape = BackboneTensors.Of(model.Config).Single(t => t.Name == name).Shape;
        return _weights.Empty(model.Format, shape[0], shape[1], name);
    }

    private RewardHead? Head() => model.Head?.BuildOn(device, layer => new LinearLayer(
        _weights.Matrix(WeightSource.Create(layer.Matrix, model.HeadFormat), progress),
        layer.ReadBias() is { } bias ? _weights.Vector(bias) : null));

    private ITensor Vector(string name) => _weights.Vector(model.Vector(name));
}
