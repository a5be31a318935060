using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Model.Heads;

namespace LdlVk.Runtime.Execution;

/// <summary>The device memory that the parts of a model need, counted from its shapes.</summary>
/// <param name="LayerBytes">Matrices of a layer, with scales.</param>
/// <param name="Layers">How many layers there are.</param>
/// <param name="HeadBytes">Matrices of the heads.</param>
/// <param name="TableBytes">Norms and biases of the whole model, and the rotary angles; every stage has a copy.</param>
/// <param name="RowBytes">Scratch of one row of a micro-batch, without gate and up.</param>
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

    /// <summary>Bytes that ops need besides their operands, independent of the number of rows.</summary>
    public long ScratchBytes { get; private init; }

    /// <summary>Rows that have gate and up at a time; <see cref="On"/> sets it to the least number that suits a device.</summary>
    public int FeedForwardRows { get; internal init; } = int.MaxValue;

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
        long vectors = BackboneTensors.Of(config with { Layers = 1 })
            .Where(t => t.Name.StartsWith(BackboneTensors.Layer(0), StringComparison.Ordinal) && t.Shape.Length == 1)
            .Sum(t => (long)t.Shape[0]);
        long tables = sizeof(float) * ((vectors * config.Layers) + hidden
            + ((long)RopeTable.Positions(config) * RopeTable.Count(config) * config.HeadDimension));
        // Normalized input; queries and the output of attention; keys and values.
        long row = sizeof(float) * (hidden + (2L * queries) + (2 * keys));
        return new ModelMemory(
            layer, config.Layers, 0, tables, row, sizeof(float) * 2L * config.IntermediateSize, sizeof(float) * 2L * keys,
            sizeof(float) * (long)hidden, config.MaxPositions);
    }

    /// <summary>
    /// Adds what a device needs besides the operands: copies of the inputs of the layers' products and of attention's queries, keys and
    /// values in the format of its matrix units, and scratch where it works on blocks of rows.
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
            FeedForwardRows = Model.FeedForwardRows.Fewest(device),
        };
        return memory.With(device.Scratch, config, weights, compute);
    }

    private ModelMemory With(OpScratch scratch, BackboneConfig config, WeightFormat weights, ComputeMode compute)
    {
        if (scratch.BlockRows == 0) return this;
        (int Outputs, int Inputs)[] matrices = LayerMatrices(config);
        long queries = config.Heads * config.HeadDimension, keys = config.KeyValueHeads * config.HeadDimension;
        long block = sizeof(float) * (long)scratch.BlockRows, widest = matrices.Max(m => m.Inputs);
        // Two inputs and an output of an op, three intermediate results (the gate's activation has as many), and the queries of a tile.
        long bytes = (6 * block * widest) + (block * queries);
        if (compute == ComputeMode.Int8)
        {
            long Rows(long outputs) => Math.Min(outputs, scratch.Int8PanelRows);
            // Unpacked rows, the integers of a block, the products of groups, and two sums of these.
            bytes += matrices.Max(m => sizeof(float) * Rows(m.Outputs) * m.Inputs) + (block * widest)
                + matrices.Max(m => (scratch.Int8Groups + 2) * block * Rows(m.Outputs));
        }
        else if (weights != WeightFormat.Fp32)
        {
            bytes += Math.Min(scratch.PanelBytes, matrices.Max(m => sizeof(float) * (long)m.Outputs * m.Inputs));
        }

        // Keys and values of a text in one piece, and twice the scores of a block with all of them: up to a third more than the rows.
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

    /// <summary>Returns the bytes of the whole model on one device with micro-batches of a given size.</summary>
    public long Total(int batchTokens) => WeightBytes + TableBytes + ActivationBytes(batchTokens, batchTokens);

    /// <summary>Returns the bytes of activations.</summary>
    /// <param name="batchTokens">Rows of a micro-batch.</param>
    /// <param name="waveTokens">Rows of a wave, whose hidden states exist at the same time.</param>
    public long ActivationBytes(int batchTokens, int waveTokens) =>
        ScratchBytes + (RowBytes * batchTokens) + (FeedForwardRowBytes * Math.Min(batchTokens, FeedForwardRows))
        + (WaveRowBytes * Math.Max(batchTokens, waveTokens)) + (KeyRowBytes * Math.Clamp(waveTokens - batchTokens, 0, MaxPositions));

    /// <summary>Throws unless a compute mode works with a weight format.</summary>
    /// <exception cref="UsageException">It does not.</exception>
    public static void CheckCompute(ComputeMode compute, WeightFormat weights)
    {
        if (compute == ComputeMode.Int8 && !WeightLayout.HasScales(weights))
            throw new UsageException(
                $"{OptionName.Compute.Of("int8")} multiplies int8 or int4 weights, not {weights.ToString().ToLowerInvariant()}. Use "
                    + $"{OptionName.Weights.Of("int8 or int4")}, or leave {OptionName.Weights} out.");
        if (compute == ComputeMode.Fp16x && weights == WeightFormat.Fp32)
            throw new UsageException(
                $"{OptionName.Compute.Of("fp16x")} multiplies fp16, int8 or int4 weights, not fp32. Use "
                    + $"{OptionName.Weights.Of("fp16")}, or leave {OptionName.Weights} out.");
    }

    /// <summary>Throws if a compute mode changes nothing on the devices of a plan.</summary>
    /// <exception cref="UsageException">It does not.</exception>
    public static void CheckCompute(ComputeMode compute, IEnumerable<DeviceInfo> devices)
    {
        DeviceInfo[] all = [.. devices];
        if (compute == ComputeMode.Fp16x && !Array.Exists(all, device => device.SumsHalves))
            throw new UsageException(
                $"{OptionName.Compute.Of("fp16x")} would change nothing: {string.Join(" and ", all.Select(device => device.Id))} "
                    + $"runs no kernels on matrix units with fp16 sums. Leave {OptionName.Compute} out.");
    }

    /// <summary>Returns whether so many bytes fit into a device's free memory, with a reserve for what is not counted.</summary>
    public static bool Fits(long bytes, DeviceInfo device) => bytes <= UsableBytes(device);

    /// <summary>Returns how many bytes of a device's free memory a model may take.</summary>
    public static long UsableBytes(DeviceInfo device) => (long)(device.FreeMemoryBytes * UsableShare);
}
