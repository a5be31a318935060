namespace LdlVk.Runtime.Devices;

/// <summary>
/// Sizes of the stored rows of each <see cref="WeightFormat"/>.
/// <para>
/// Int8 stores a group as 32 bytes q in order, and an element is scale·q.
/// </para>
/// <para>
/// Int4 stores a group as four 32-bit words. Word i holds the elements 8i … 8i + 7, each as a nibble q + 8 with q in −8 … 7: element
/// 2j of the eight in bits 4j … 4j + 3, element 2j + 1 in bits 16 + 4j … 19 + 4j, for j = 0 … 3. An element is scale·v(q), with
/// v(q) = q·(8 + |q|):
/// </para>
/// <code>
/// q      −8   −7   −6  −5  −4  −3  −2  −1  0  1   2   3   4   5   6    7
/// v(q) −128 −105  −84 −65 −48 −33 −20  −9  0  9  20  33  48  65  84  105
/// </code>
/// <para>
/// The steps grow with the magnitude, because most weights are small: the error is 7 to 20 % below that of even steps with the best scale
/// (Checkpoints/Int4Groups has the figures). v fits a signed byte, so that a kernel for int8 weights can compute with these too, and
/// takes two operations and no table. The order of the nibbles suits devices that compute with pairs of halves: (word &gt;&gt; 4j) &amp;
/// 0x000F000F | 0x64006400 is the pair 1024 + (q + 8) of two neighbors; less 1032 it is q, and v(q) is exact in half precision.
/// The scale may be negative: then the group's largest magnitude, which takes the code −8, is positive.
/// </para>
/// </summary>
public static class WeightLayout
{
    /// <summary>
    /// Elements of a quantization group, and the multiple to which every stored row is padded with zeros, whatever the format,
    /// so that no kernel needs a special case for the end of a row. (In Int4 a zero is the nibble 8.)
    /// </summary>
    public const int GroupSize = 32;

    /// <summary>Stored elements of a row: <paramref name="inputFeatures"/> rounded up to a multiple of <see cref="GroupSize"/>.</summary>
    public static int PaddedRow(int inputFeatures) => (inputFeatures + GroupSize - 1) / GroupSize * GroupSize;

    /// <summary>Bytes of the elements of one group of a row, scale not counted.</summary>
    public static int GroupBytes(WeightFormat format) => format switch
    {
        WeightFormat.Fp32 => GroupSize * 4,
        WeightFormat.Fp16 => GroupSize * 2,
        WeightFormat.Int8 => GroupSize,
        WeightFormat.Int4 => GroupSize / 2,
        _ => throw new ArgumentOutOfRangeException(nameof(format)),
    };

    /// <summary>Bytes of one stored row, scales not counted.</summary>
    public static long RowBytes(WeightFormat format, int inputFeatures) =>
        ((long)inputFeatures + GroupSize - 1) / GroupSize * GroupBytes(format);

    /// <summary>Whether the groups of a format have scales.</summary>
    public static bool HasScales(WeightFormat format) => format is WeightFormat.Int8 or WeightFormat.Int4;

    /// <summary>Scales of one row: one per group for formats that have them, else none.</summary>
    public static int ScalesPerRow(WeightFormat format, int inputFeatures) => HasScales(format) ? PaddedRow(inputFeatures) / GroupSize : 0;

    /// <summary>Bytes of a whole matrix with its scales.</summary>
    public static long MatrixBytes(WeightFormat format, int outputFeatures, int inputFeatures) =>
        outputFeatures * (RowBytes(format, inputFeatures) + (2L * ScalesPerRow(format, inputFeatures)));
}

/// <summary>
/// A source of a weight matrix for an upload: it gives rows on request, in the format asked for, so that no whole matrix is ever staged.
/// The represented matrix is W = Scale · dequantized(values, scales).
/// </summary>
public interface IWeightSource
{
    /// <summary>The matrix's name in its checkpoint, for error messages.</summary>
    string Name { get; }

    /// <summary>Rows of W.</summary>
    int OutputFeatures { get; }

    /// <summary>Columns of W.</summary>
    int InputFeatures { get; }

    /// <summary>The format of the rows that <see cref="ReadRows"/> gives.</summary>
    WeightFormat Format { get; }

    /// <summary>
    /// A power of two by which every stored element is to be multiplied. It moves a matrix into the middle of fp16's range, so that
    /// neither large weights overflow nor small scales of groups lose bits; multiplying by it is exact.
    /// </summary>
    float Scale { get; }

    /// <summary>
    /// Writes rows [<paramref name="firstRow"/>, + <paramref name="rowCount"/>). Thread-safe.
    /// </summary>
    /// <param name="firstRow">First row.</param>
    /// <param name="rowCount">Number of rows.</param>
    /// <param name="values">rowCount · RowBytes, little-endian, rows padded with zeros.</param>
    /// <param name="scales">rowCount · ScalesPerRow scales; empty if the format has none.</param>
    void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales);
}
