using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

namespace LdlVk.Benchmarking;

/// <summary>
/// What a card may be expected to reach with a model, by its maker's figures: each product takes as long as its arithmetic, its shared
/// memory or its memory traffic, whichever is slowest; attention, the other ops' traffic and the starts of kernels are added. Layers that
/// do not fit come over the bus while the others are computed.
/// </summary>
/// <param name="card">The card.</param>
/// <param name="config">The model.</param>
/// <param name="weights">Format of its matrices.</param>
/// <param name="compute">How products are computed.</param>
public sealed class Prediction(Card card, BackboneConfig config, WeightFormat weights, ComputeMode compute)
{
    /// <summary>Part of the peak of matrix units that products reach: assumed. Public kernels reached 43, 62 and 91 %.</summary>
    public const double MatrixShare = 0.6;

    /// <summary>Part of the peak of ordinary arithmetic that products reach: assumed.</summary>
    public const double PortableShare = 0.5;

    /// <summary>Part of the peak that attention reaches: assumed, half of the products'.</summary>
    public const double AttentionShare = MatrixShare / 2;

    /// <summary>Part of the memory's bandwidth, and of the bus's, that is reached: assumed.</summary>
    public const double BandwidthShare = 0.8;

    /// <summary>Bytes of shared memory that a core loads in a clock, by makers' descriptions of their cores.</summary>
    public const double SharedBytesPerClock = 128;

    /// <summary>Seconds from the end of a kernel to the begin of the next: assumed.</summary>
    public const double LaunchSeconds = 5e-6;

    /// <summary>
    /// Kernels of a layer, counted in a run of gemma2-27b: products, conversions of rows, norms, rotations, attention. A sum and the norm
    /// after it are one.
    /// </summary>
    public const int Launches = 14;

    /// <summary>
    /// Times that a layer reads or writes a row of fp32 beside its products: norms, sums, rotations, conversions. The norm after a sum
    /// reads nothing.
    /// </summary>
    public const int RowPasses = 14;

    /// <summary>Part of the memory that a model may fill: assumed.</summary>
    public const double MemoryShare = 0.92;

    /// <summary>Rows and features that a subgroup multiplies from one load of shared memory, and an invocation without matrix units.
    /// </summary>
    private const double TileRows = 32, TileFeatures = 64, InvocationTile = 4;

    /// <summary>The fractions and what they rest on, in words.</summary>
    public const string Assumptions =
        "Assumed: products reach 60 % of matrix units or 50 % of ordinary arithmetic, attention 30 %, memory and bus 80 %; 5 µs a kernel, "
        + "14 kernels and 14 passes over fp32 rows a layer; 92 % of the memory. By makers: 128 bytes of shared memory a clock and core.";

    private bool OnMatrixUnits => card.Halves > 0 && weights != WeightFormat.Fp32;

    /// <summary>Why there is nothing to predict; null if there is.</summary>
    public string? WhyNot => compute switch
    {
        ComputeMode.Int8 when card.Bytes == 0 => $"{card.Name} has no instruction for int8 products",
        ComputeMode.Fp16x when card.Halves == 0 => $"{card.Name} has no matrix units that are used, and so no fp16 sums",
        _ => null,
    };

    /// <summary>Operations a second of products: the least of what arithmetic and shared memory allow.</summary>
    public double ProductRate
    {
        get
        {
            double shared = card.Cores * card.Clock * 1e9 * SharedBytesPerClock;
            bool bytes = compute == ComputeMode.Int8;
            double halves = compute == ComputeMode.Fp16x ? card.HalfSums : card.Halves;
            double peak = bytes ? card.Bytes : OnMatrixUnits ? halves : card.Fp32;
            // Bytes that a product of a tile loads for each of its operations.
            double loaded = OnMatrixUnits ? (TileRows + TileFeatures) * (bytes ? 1 : 2) / (2 * TileRows * TileFeatures)
                : 2 * InvocationTile * sizeof(float) / (2 * InvocationTile * InvocationTile * (bytes ? 4 : 1));
            return Math.Min(peak * 1e12 * (OnMatrixUnits ? MatrixShare : PortableShare), shared / loaded);
        }
    }

    /// <summary>Bytes of a layer's matrices.</summary>
    public long LayerBytes => Matrices.Sum(m => WeightLayout.MatrixBytes(weights, m.Outputs, m.Inputs));

    /// <summary>Layers that are streamed when a micro-batch has so many rows; two of them have their place on the card.</summary>
    public int StreamedLayers(int rows)
    {
        double activations = sizeof(float) * (double)rows * ((6 * config.HiddenSize) + (2 * config.IntermediateSize));
        double room = ((card.Memory * (1L << 30) * MemoryShare) - activations) / LayerBytes;
        return room >= config.Layers ? 0 : Math.Min(config.Layers, config.Layers - (int)Math.Max(0, room - 2));
    }

    /// <summary>Seconds of a scenario.</summary>
    public double Seconds(Scenario scenario)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        double length = (double)scenario.Tokens / scenario.Texts;
        double computing = scenario.Batches.Sum(b => Seconds(b.Rows, length));
        return Math.Max(computing, StreamedLayers(scenario.MaxBatchRows) * (double)LayerBytes / (card.Bus * 1e9 * BandwidthShare));
    }

    /// <summary>Tokens a second of a scenario.</summary>
    public double TokensPerSecond(Scenario scenario) => scenario.Tokens / Seconds(scenario);

    /// <summary>The prediction for a measurement's device; null where the card is not known.</summary>
    public static Prediction? For(BenchContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return Card.Find(context.Device) is { } card
            && new Prediction(card, context.Shape.Config, context.Weights, context.Compute) is { WhyNot: null } found ? found : null;
    }

    /// <summary>
    /// Seconds of a micro-batch whose texts have a length, without streaming. The last layer needs its keys and values only.
    /// </summary>
    public double Seconds(int rows, double length)
    {
        double layer = Matrices.Sum(m => Product(rows, m.Outputs, m.Inputs));
        double pairs = Math.Min(length, config.SlidingWindow > 0 ? config.SlidingWindow : length);
        double attention = rows * 4.0 * config.Heads * config.HeadDimension * ((length + 1) / 2 < pairs ? (length + 1) / 2 : pairs);
        double units = (OnMatrixUnits ? card.Halves : card.Fp32) * 1e12 * AttentionShare;
        double rest = RowPasses * sizeof(float) * (double)rows * config.HiddenSize / (card.Bandwidth * 1e9 * BandwidthShare);
        double whole = layer + (attention / units) + rest + (Launches * LaunchSeconds);
        int keys = config.KeyValueHeads * config.HeadDimension;
        return ((config.Layers - 1) * whole) + (2 * Product(rows, keys, config.HiddenSize)) + (Launches * LaunchSeconds);
    }

    private IReadOnlyList<(int Outputs, int Inputs)> Matrices
    {
        get
        {
            int hidden = config.HiddenSize, ffn = config.IntermediateSize;
            int queries = config.Heads * config.HeadDimension, keys = config.KeyValueHeads * config.HeadDimension;
            return [(queries, hidden), (keys, hidden), (keys, hidden), (hidden, queries), (ffn, hidden), (ffn, hidden), (hidden, ffn)];
        }
    }

    private double Product(int rows, int outputs, int inputs)
    {
        double bytes = WeightLayout.MatrixBytes(weights, outputs, inputs) + (sizeof(float) * (double)rows * (outputs + inputs));
        return Math.Max(2.0 * rows * outputs * inputs / ProductRate, bytes / (card.Bandwidth * 1e9 * BandwidthShare));
    }
}
