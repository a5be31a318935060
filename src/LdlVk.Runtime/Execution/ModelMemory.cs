using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>The device memory a model needs, counted from its shapes.</summary>
/// <param name="WeightBytes">Matrices of all layers and of the heads, with scales.</param>
/// <param name="RowBytes">Activations of one row of a micro-batch, gate and up not counted.</param>
/// <param name="FeedForwardRowBytes">Gate and up of one row; at most <see cref="Gemma2Model.FeedForwardRows"/> rows have them at a time.</param>
public sealed record ModelMemory(long WeightBytes, long RowBytes, long FeedForwardRowBytes)
{
    /// <summary>Share of a device's free memory that a model may take; the rest is for the driver, the desktop and fragmentation.</summary>
    private const double UsableShare = 0.92;

    /// <summary>Counts a model in the given formats.</summary>
    public static ModelMemory Of(Gemma2Config config, LdlHeads heads, WeightFormat weights, WeightFormat headWeights)
    {
        long head = heads.Regression.Concat(heads.Gating).Sum(l => WeightLayout.MatrixBytes(headWeights, l.Outputs, l.Inputs));
        ModelMemory backbone = OfBackbone(config, weights);
        return backbone with { WeightBytes = backbone.WeightBytes + head };
    }

    /// <summary>Counts a backbone alone.</summary>
    public static ModelMemory OfBackbone(Gemma2Config config, WeightFormat weights)
    {
        int hidden = config.HiddenSize, queries = config.Heads * config.HeadDimension, keys = config.KeyValueHeads * config.HeadDimension;
        int ffn = config.IntermediateSize;
        long layer = Bytes(queries, hidden) + (2 * Bytes(keys, hidden)) + Bytes(hidden, queries) + (2 * Bytes(ffn, hidden)) + Bytes(hidden, ffn);
        // Residual stream and normed input; queries and what attention makes of them; keys and values.
        long row = sizeof(float) * ((2L * hidden) + (2 * queries) + (2 * keys));
        return new ModelMemory(layer * config.Layers, row, sizeof(float) * 2L * ffn);

        long Bytes(int outputs, int inputs) => WeightLayout.MatrixBytes(weights, outputs, inputs);
    }

    /// <summary>
    /// With what rows take once more on a device whose products read them as operands of their own: the inputs of the layers' products,
    /// and attention's queries, keys and values.
    /// </summary>
    /// <param name="device">The device.</param>
    /// <param name="config">The model.</param>
    /// <param name="weights">Format of the layers' matrices.</param>
    /// <param name="compute">How products are computed.</param>
    public ModelMemory On(DeviceInfo device, Gemma2Config config, WeightFormat weights, ComputeMode compute)
    {
        long hidden = config.HiddenSize, queries = config.Heads * config.HeadDimension, keys = config.KeyValueHeads * config.HeadDimension;
        int matrix = weights == WeightFormat.Fp32 ? 0 : device.MatrixOperandBytes, linear = compute == ComputeMode.Int8 ? device.Int8OperandBytes : matrix;
        return this with
        {
            RowBytes = RowBytes + (linear * (hidden + queries)) + (matrix * (queries + (2 * keys))),
            FeedForwardRowBytes = FeedForwardRowBytes + ((long)linear * config.IntermediateSize),
        };
    }

    /// <summary>Bytes with micro-batches of so many tokens.</summary>
    public long Total(int batchTokens) =>
        WeightBytes + (RowBytes * batchTokens) + (FeedForwardRowBytes * Math.Min(batchTokens, Gemma2Model.FeedForwardRows));

    /// <summary>
    /// The best format that fits: what the checkpoint holds (fp16 for bf16 and fp16, fp32 for fp32), else the next smaller one. It depends
    /// on the checkpoint, the mode of computing and the memory alone; computing in int8 needs int8 or smaller.
    /// </summary>
    /// <exception cref="DeviceException">Not even int4 fits; the message says what is needed and what there is.</exception>
    public static WeightFormat Choose(Checkpoint checkpoint, DeviceInfo device, WeightFormat headWeights, int batchTokens, ComputeMode compute = ComputeMode.Auto)
    {
        WeightFormat first = compute == ComputeMode.Int8 ? WeightFormat.Int8
            : checkpoint.SourceType == ElementType.Fp32 ? WeightFormat.Fp32 : WeightFormat.Fp16;
        for (WeightFormat format = first; format < WeightFormat.Int4; format++)
            if (Fits(Of(checkpoint.Config, checkpoint.Head, format, headWeights).On(device, checkpoint.Config, format, compute).Total(batchTokens), device)) return format;
        return Require(checkpoint, device, WeightFormat.Int4, headWeights, batchTokens, compute);
    }

    /// <summary>The format, if it fits.</summary>
    /// <exception cref="DeviceException">It does not; the message says what is needed and what there is.</exception>
    public static WeightFormat Require(Checkpoint checkpoint, DeviceInfo device, WeightFormat format, WeightFormat headWeights, int batchTokens, ComputeMode compute = ComputeMode.Auto)
    {
        long bytes = Of(checkpoint.Config, checkpoint.Head, format, headWeights).On(device, checkpoint.Config, format, compute).Total(batchTokens);
        return Fits(bytes, device)
            ? format
            : throw new DeviceException($"{checkpoint.Folder} needs {Gigabytes(bytes)} with {format.ToString().ToLowerInvariant()} weights, and {device.Id} ({device.Name}) has {Gigabytes(device.FreeMemoryBytes)} free. Use smaller weights, a smaller --batch-tokens, a device with more memory, or --device cpu.");
    }

    /// <summary>Throws unless products with such weights can be computed so.</summary>
    /// <exception cref="UsageException">They cannot.</exception>
    public static void CheckCompute(ComputeMode compute, WeightFormat weights)
    {
        if (compute == ComputeMode.Int8 && !WeightLayout.HasScales(weights))
            throw new UsageException($"--compute int8 multiplies int8 or int4 weights, not {weights.ToString().ToLowerInvariant()}. Use --weights int8 or int4, or leave --weights out.");
    }

    /// <summary>Whether so many bytes fit into a device's free memory, with room to spare for what is not counted.</summary>
    public static bool Fits(long bytes, DeviceInfo device) => bytes <= device.FreeMemoryBytes * UsableShare;

    private static string Gigabytes(long bytes) => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{bytes / 1e9:F1} GB");
}
