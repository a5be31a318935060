using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Model.Heads;

namespace LdlVk.Runtime.Execution;

/// <summary>
/// A backbone of any shape with random weights, for measurements. Nothing is downloaded, and devices that can generate the weights do so
/// (<see cref="RandomWeightSource"/>). Its activations have the usual magnitude. Owns the weights, not the device.
/// </summary>
public sealed class SyntheticModel : IDisposable
{
    private readonly ScoringEngine _engine;

    /// <summary>Makes the weights.</summary>
    /// <param name="stages">Which layers go to which device; the devices must outlive the model.</param>
    /// <param name="config">The shape.</param>
    /// <param name="settings">Format of the matrices, and how products are computed.</param>
    /// <param name="cancellationToken">Ends the making; everything is freed.</param>
    /// <exception cref="DeviceException">It does not fit.</exception>
    public SyntheticModel(IReadOnlyList<PlacedStage> stages, BackboneConfig config, LoadSettings settings,
        CancellationToken cancellationToken = default) =>
        _engine = ScoringEngine.Load(stages, new RandomWeights(config, settings.Weights), settings.Compute, null, null, cancellationToken);

    /// <summary>As the other constructor, with all layers on one device.</summary>
    public SyntheticModel(IDevice device, BackboneConfig config, LoadSettings settings, CancellationToken cancellationToken = default)
        : this([new PlacedStage(device, new StageLayers(0, config.Layers))], config, settings, cancellationToken)
    {
    }

    /// <summary>The hidden states of the texts' last tokens after the final norm, [texts · hidden].</summary>
    public float[] LastHidden(MicroBatch batch) => LastHidden(new Wave([batch]));

    /// <summary>As <see cref="LastHidden(MicroBatch)"/>, of all texts of a wave.</summary>
    public float[] LastHidden(Wave wave) => _engine.ScoreWithHidden(wave).Hidden;

    /// <summary>Returns arbitrary token ids; bench/peers/peerbench.c and torch_gemma2.py make the same.</summary>
    /// <param name="text">Number of the text; each text begins differently.</param>
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
    public void Dispose() => _engine.Dispose();

    private sealed class RandomWeights(BackboneConfig config, WeightFormat format) : IModelWeights
    {
        private readonly Dictionary<string, (int[] Shape, uint Seed)> _tensors =
            BackboneTensors.Of(config).Select((t, i) => (t.Name, t.Shape, Seed: (uint)i)).ToDictionary(t => t.Name, t => (t.Shape, t.Seed));

        public BackboneConfig Config => config;

        public WeightFormat Format => format;

        public ModelHead? Head => null;

        public WeightFormat HeadFormat => format;

        /// <summary>About unit variance after their factor, as the embeddings of a trained model have.</summary>
        public EmbeddingTable Embedding() => new(new RandomMatrix(config.VocabularySize, config.HiddenSize), MathF.Sqrt(3));

        public IWeightSource Matrix(string name) =>
            _tensors[name] is ([int outputs, int inputs], uint seed) ? new RandomWeightSource(name, outputs, inputs, format, seed)
                : throw new InvalidOperationException($"{name} is no matrix.");

        public float[] Vector(string name)
        {
            float[] values = new float[_tensors[name].Shape[0]];
            new RandomMatrix(1, values.Length).Read(0, values);
            float center = BackboneTensors.IsNorm(name) ? 1 : 0;
            for (int i = 0; i < values.Length; i++) values[i] = center + (values[i] * 0.1f);
            return values;
        }

        public void Forget()
        {
            // Nothing is read.
        }
    }

    /// <summary>
    /// Elements uniform in [−1, 1), each a hash of its index, repeated after the first million. Computing them for each text took longer
    /// than reading real ones (3.4 ms for 512 rows of 4608, while a fast GPU takes about 60 ms for all layers).
    /// </summary>
    private sealed class RandomMatrix(int rows, int columns) : IFloatMatrix
    {
        private readonly float[] _period = [.. Enumerable.Range(0, (int)Math.Min((long)rows * columns, 1 << 20))
            .Select(i => ((int)(RandomWeightSource.Hash((uint)i) >> 8) - (1 << 23)) * (1f / (1 << 23)))];

        public string Name => "made-up values";
        public int Rows => rows;
        public int Columns => columns;

        public void Read(long firstElement, Span<float> destination)
        {
            int from = (int)(firstElement % _period.Length);
            while (destination.Length > 0)
            {
                int count = Math.Min(destination.Length, _period.Length - from);
                _period.AsSpan(from, count).CopyTo(destination);
                destination = destination[count..];
                from = 0;
            }
        }
    }
}
