using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Model.Heads;

namespace LdlVk.Runtime.Execution;

/// <summary>The device memory that the parts of a model need, counted from its shapes.</summary>
/// <param name="LayerBytes">Matrices of a layer, with scales.</param>
/// <param name="Layers">How many layers there are.</param>
/// <param name="HeadBytes">Matrices of the heads.</param>
/// <param name="TableBytes">Norms and biases of the whole model, and the rotary angles, which every stage has.</param>
/// <param name="RowBytes">Scratch of one row of a micro-batch, gate and up not counted.</param>
/// <param name="FeedForwardRowBytes">Gate and up of one row; at most <see cref="FeedForwardRows"/> rows have them at a time.</param>
/// <param name="KeyRowBytes">Key and value of one row, which a prefix keeps from micro-batch to micro-batch of a wave.</param>
/// <param name="WaveRowBytes">Hidden state of one row of a wave.</param>
/// <param name="MaxPositions">Longest text, and prefix.</param>
public sealed record ModelMemory(
    long LayerBytes, int Layers, long HeadBytes, long TableBytes, long RowBytes, long FeedForwardRowBytes, long KeyRowBytes,
    long WaveRowBytes, int MaxPositions)
{
    /// <summary>Share of a device's free memory that a model may take; the rest is for the driver, the desktop and fragmentation.</summary>
    private const double UsableShare = 0.92;

    /// <summary>What ops take beside their operands, however many rows there are.</summary>
    public long ScratchBytes { get; private init; }

    /// <summary>Rows that have gate and up at a time; all of them until <see cref="On"/> says otherwise.</summary>
    public int FeedForwardRows { get; private init; } = int.MaxValue;

    /// <summary>Matrices of all layers and of the heads.</summary>
    public long WeightBytes => (LayerBytes * Layers) + HeadBytes;

    /// <summary>Counts a model in the given formats.</summary>
    public static ModelMemory Of(BackboneConfig config, ModelHead head, WeightFormat weights, WeightFormat headWeights) =>
        OfBackbone(config, weights) with { HeadBytes = head.DeviceBytes(headWeights) };

    /// <summary>Counts a backbone alone.</summary>
    public static ModelMemory OfBackbone(BackboneConfig config, WeightFormat weights)
    {
        ArgumentNullException.ThrowIfNull(config);
        int hidden = config.HiddenSize, queries = config.Heads * config.HeadDimension, keys = config.KeyValueHeads * config.HeadDimension;
        long layer = LayerMatrices(config).Sum(m => WeightLayout.MatrixBytes(weights, m.Outputs, m.Inputs));
        long tables = sizeof(float) * (((long)config.Architecture.NormsPerLayer * hidden * config.Layers) + hidden
            + ((long)config.MaxPositions * config.HeadDimension));
        // Normed input; queries and what attention makes of them; keys and values.
        long row = sizeof(float) * (hidden + (2L * queries) + (2 * keys));
        return new ModelMemory(
            layer, config.Layers, 0, tables, row, sizeof(float) * 2L * config.IntermediateSize, sizeof(float) * 2L * keys,
            sizeof(float) * (long)hidden, config.MaxPositions);
    }

    /// <summary>
    /// With what rows take once more on a device whose products read them as operands of their own: the inputs of the layers' products,
    /// and attention's queries, keys and values; and with the scratch of a device that works on blocks of rows.
    /// </summary>
    /// <param name="device">The device.</param>
    /// <param name="config">The model.</param>
    /// <param name="weights">Format of the layers' matrices.</param>
    /// <param name="compute">How products are computed.</param>
    public ModelMemory On(DeviceInfo device, BackboneConfig config, WeightFormat weights, ComputeMode compute)
    {
        long hidden = config.HiddenSize, queries = config.Heads * config.HeadDimension, keys = config.KeyValueHeads * config.HeadDimension;
        int matrix = weights == WeightFormat.Fp32 ? 0 : device.MatrixOperandBytes;
        int linear = compute == ComputeMode.Int8 ? device.Int8OperandBytes : matrix;
        ModelMemory memory = this with
        {
            RowBytes = RowBytes + (linear * (hidden + queries)) + (matrix * (queries + (2 * keys))),
            FeedForwardRowBytes = FeedForwardRowBytes + ((long)linear * config.IntermediateSize),
            FeedForwardRows = Workspace.FeedForwardRows(device),
        };
        return memory.With(device.Scratch, config, weights, compute);
    }

    private ModelMemory With(OpScratch scratch, BackboneConfig config, WeightFormat weights, ComputeMode compute)
    {
        if (scratch.BlockRows == 0) return this;
        (int Outputs, int Inputs)[] matrices = LayerMatrices(config);
        long queries = config.Heads * config.HeadDimension, keys = config.KeyValueHeads * config.HeadDimension;
        long block = sizeof(float) * (long)scratch.BlockRows, widest = matrices.Max(m => m.Inputs);
        // Two inputs and an output of an op, and three results on the way, as the gate's activation has; a tile's queries.
        long bytes = (6 * block * widest) + (block * queries);
        if (compute == ComputeMode.Int8)
        {
            long Rows(long outputs) => Math.Min(outputs, scratch.Int8PanelRows);
            // Unpacked rows; a block's integers; products of groups, and two sums of them.
            bytes += matrices.Max(m => sizeof(float) * Rows(m.Outputs) * m.Inputs) + (block * widest)
                + matrices.Max(m => (scratch.Int8Groups + 2) * block * Rows(m.Outputs));
        }
        else if (weights != WeightFormat.Fp32)
        {
            bytes += Math.Min(scratch.PanelBytes, matrices.Max(m => sizeof(float) * (long)m.Outputs * m.Inputs));
        }

        // Keys and values of a text in one place, and a block's scores with all of them, twice: up to a third more than there are.
        long row = ((2 * sizeof(float) * keys) + (2 * block * config.Heads)) * 4 / 3;
        return this with { RowBytes = RowBytes + row, ScratchBytes = bytes };
    }

    /// <summary>The matrices of a layer: Q, K, V, O, gate, up, down.</summary>
    private static (int Outputs, int Inputs)[] LayerMatrices(BackboneConfig config)
    {
        int hidden = config.HiddenSize, queries = config.Heads * config.HeadDimension, keys = config.KeyValueHeads * config.HeadDimension,
            ffn = config.IntermediateSize;
        return [(queries, hidden), (keys, hidden), (keys, hidden), (hidden, queries), (ffn, hidden), (ffn, hidden), (hidden, ffn)];
    }

    /// <summary>Bytes of the whole model on one device, with micro-batches of so many tokens.</summary>
    public long Total(int batchTokens) => WeightBytes + TableBytes + ActivationBytes(batchTokens, batchTokens);

    /// <summary>Bytes of activations.</summary>
    /// <param name="batchTokens">Rows of a micro-batch.</param>
    /// <param name="waveTokens">Rows of a wave, whose hidden states are there at a time.</param>
    public long ActivationBytes(int batchTokens, int waveTokens) =>
        ScratchBytes + (RowBytes * batchTokens) + (FeedForwardRowBytes * Math.Min(batchTokens, FeedForwardRows))
        + (WaveRowBytes * Math.Max(batchTokens, waveTokens)) + (KeyRowBytes * Math.Clamp(waveTokens - batchTokens, 0, MaxPositions));

    /// <summary>Throws unless products with such weights can be computed so.</summary>
    /// <exception cref="UsageException">They cannot.</exception>
    public static void CheckCompute(ComputeMode compute, WeightFormat weights)
    {
        if (compute == ComputeMode.Int8 && !WeightLayout.HasScales(weights))
            throw new UsageException(
                $"{OptionName.Compute.Of("int8")} multiplies int8 or int4 weights, not {weights.ToString().ToLowerInvariant()}. Use "
                    + $"{OptionName.Weights.Of("int8 or int4")}, or leave {OptionName.Weights} out.");
    }

    /// <summary>Whether so many bytes fit into a device's free memory, with room to spare for what is not counted.</summary>
    public static bool Fits(long bytes, DeviceInfo device) => bytes <= UsableBytes(device);

    /// <summary>What of a device's free memory a model may take.</summary>
    public static long UsableBytes(DeviceInfo device) => (long)(device.FreeMemoryBytes * UsableShare);
}
