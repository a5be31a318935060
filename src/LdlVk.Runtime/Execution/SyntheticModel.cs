using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>
/// A Gemma-2 backbone of any shape with made-up weights, for measurements: nothing is downloaded, and a device that can makes the weights
/// itself (<see cref="RandomWeightSource"/>). Its activations are of ordinary size. Owns the weights, not the device.
/// </summary>
public sealed class SyntheticModel : IDisposable
{
    private readonly WeightsOnDevice _weights;
    private readonly IDevice _device;
    private readonly Gemma2Model _model;

    /// <summary>How products are computed; <see cref="ComputeMode.Int8"/> needs int8 or int4 weights.</summary>
    public ComputeMode Compute { get => _model.Compute; set => _model.Compute = value; }

    /// <summary>Makes the weights.</summary>
    /// <param name="device">Where to; must outlive the model.</param>
    /// <param name="config">The shape.</param>
    /// <param name="weights">Format of the matrices.</param>
    /// <param name="cancellation">Ends the making; everything is freed.</param>
    /// <exception cref="DeviceException">It does not fit.</exception>
    public SyntheticModel(IDevice device, Gemma2Config config, WeightFormat weights, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(config);
        _device = device;
        _weights = new WeightsOnDevice(device, cancellation);
        uint seed = 0;
        Dictionary<string, int[]> shapes = Gemma2Tensors.Of(config).ToDictionary(t => t.Name, t => t.Shape);
        try
        {
            // About unit variance after the factor √hidden, as the embeddings of a trained model have.
            var embedding = new EmbeddingTable(new RandomMatrix(config.VocabularySize, config.HiddenSize), MathF.Sqrt(3));
            var layers = new Gemma2Layer[config.Layers];
            for (int i = 0; i < layers.Length; i++) layers[i] = Gemma2Layer.Create($"layers.{i}.", Matrix, Norm);
            ITensor finalNorm = Norm("norm.weight");
            _model = new Gemma2Model(device, config, embedding, layers, finalNorm, _weights.Rope(config));
        }
        catch
        {
            Dispose();
            throw;
        }

        IWeight Matrix(string name)
        {
            int[] shape = shapes[name];
            return _weights.Matrix(new RandomWeightSource(name, shape[0], shape[1], weights, seed++));
        }

        ITensor Norm(string name)
        {
            float[] values = new float[shapes[name][0]];
            new RandomMatrix(1, values.Length).Read(0, values);
            for (int i = 0; i < values.Length; i++) values[i] *= 0.1f; // times 1 ± 0.1
            return _weights.Vector(values);
        }
    }

    /// <summary>The hidden states of the texts' last tokens after the final norm, [texts · hidden].</summary>
    public float[] LastHidden(MicroBatch batch)
    {
        using ITensor hidden = _model.Forward(batch);
        float[] values = new float[hidden.Rows * hidden.Columns];
        _device.Read(hidden, values);
        return values;
    }

    /// <summary>Token ids that look like nothing in particular; bench/peers/peerbench.c and torch_gemma2.py make the same.</summary>
    /// <param name="text">Which text; each begins differently.</param>
    /// <param name="count">How many tokens.</param>
    /// <param name="vocabulary">Each id is below this.</param>
    public static int[] TokenIds(int text, int count, int vocabulary)
    {
        uint state = 12345 + (uint)text;
        int[] ids = new int[count];
        for (int i = 0; i < count; i++)
        {
            state = (state * 1664525) + 1013904223;
            ids[i] = (int)((state >> 8) % (uint)vocabulary);
        }

        return ids;
    }

    /// <inheritdoc/>
    public void Dispose() => _weights.Dispose();

    /// <summary>Elements uniform in [−1, 1), each a hash of its place.</summary>
    private sealed class RandomMatrix(int rows, int columns) : IFloatMatrix
    {
        public string Name => "made-up values";
        public int Rows => rows;
        public int Columns => columns;

        public void Read(long firstElement, Span<float> destination)
        {
            for (int i = 0; i < destination.Length; i++)
                destination[i] = ((int)(RandomWeightSource.Hash((uint)(firstElement + i)) >> 8) - (1 << 23)) * (1f / (1 << 23));
        }
    }
}
