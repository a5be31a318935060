namespace LdlVk.Runtime.Devices;

/// <summary>How the elements of a weight matrix are stored on a device.</summary>
public enum WeightFormat
{
    /// <summary>32-bit floats.</summary>
    Fp32,
    /// <summary>16-bit floats (IEEE half).</summary>
    Fp16,
    /// <summary>Signed 8-bit integers in groups of 32 along the input features, each group with one half-precision scale.</summary>
    Int8,
}

/// <summary>Sizes of the stored rows of each <see cref="WeightFormat"/>.</summary>
public static class WeightLayout
{
    /// <summary>
    /// Elements of a quantisation group, and the multiple to which every stored row is padded with zeros, whatever the format,
    /// so that no kernel needs a special case for the end of a row.
    /// </summary>
    public const int GroupSize = 32;

    /// <summary>Stored elements of a row: <paramref name="inputFeatures"/> rounded up to a multiple of <see cref="GroupSize"/>.</summary>
    public static int PaddedRow(int inputFeatures) => (inputFeatures + GroupSize - 1) / GroupSize * GroupSize;

    /// <summary>Bytes of one stored element, scales not counted.</summary>
    public static int ElementBytes(WeightFormat format) => format switch
    {
        WeightFormat.Fp32 => 4,
        WeightFormat.Fp16 => 2,
        WeightFormat.Int8 => 1,
        _ => throw new ArgumentOutOfRangeException(nameof(format)),
    };

    /// <summary>Scales of one row: one per group for <see cref="WeightFormat.Int8"/>, none otherwise.</summary>
    public static int ScalesPerRow(WeightFormat format, int inputFeatures) =>
        format == WeightFormat.Int8 ? PaddedRow(inputFeatures) / GroupSize : 0;

    /// <summary>Bytes of a whole matrix with its scales.</summary>
    public static long MatrixBytes(WeightFormat format, int outputFeatures, int inputFeatures) =>
        outputFeatures * ((long)PaddedRow(inputFeatures) * ElementBytes(format) + 2L * ScalesPerRow(format, inputFeatures));
}

/// <summary>
/// Where a device takes a weight matrix from while it uploads: rows on request, already in the wanted format, so that no whole matrix
/// is ever staged. The represented matrix is W = Scale · dequantised(values, scales).
/// </summary>
public interface IWeightSource
{
    /// <summary>What the matrix is called in its checkpoint, for error messages.</summary>
    string Name { get; }

    /// <summary>Rows of W.</summary>
    int OutputFeatures { get; }

    /// <summary>Columns of W.</summary>
    int InputFeatures { get; }

    /// <summary>The format of the rows that <see cref="ReadRows"/> gives.</summary>
    WeightFormat Format { get; }

    /// <summary>
    /// A power of two by which every stored element is to be multiplied. It moves a matrix into the middle of fp16's range, so that
    /// neither large weights overflow nor small int8 scales lose bits; multiplying by it is exact.
    /// </summary>
    float Scale { get; }

    /// <summary>
    /// Writes rows [<paramref name="firstRow"/>, + <paramref name="rowCount"/>). Thread-safe.
    /// </summary>
    /// <param name="firstRow">First row.</param>
    /// <param name="rowCount">Number of rows.</param>
    /// <param name="values">rowCount · PaddedRow(InputFeatures) elements, little-endian, rows padded with zeros.</param>
    /// <param name="scales">rowCount · ScalesPerRow scales; empty unless the format is <see cref="WeightFormat.Int8"/>.</param>
    void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales);
}
