using System.Globalization;
using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// Converts a matrix to a device's format, a few rows at a time and directly from the checkpoint: fp32 unchanged, fp16 rounded to
/// nearest, int8 by <see cref="Int8Groups"/>, int4 by <see cref="Int4Groups"/>. All formats except fp32 store W/Scale, where Scale is the
/// power of two that maps the largest magnitude into [2¹⁴, 2¹⁵).
/// </summary>
internal sealed class WeightSource : IWeightSource
{
    /// <summary>Elements converted at a time: a multiple of the group size that fits the L1 cache.</summary>
    private const int Piece = 2048;

    /// <summary>Elements per work item of the parallel search for the largest magnitude.</summary>
    private const int ScanBlock = 1 << 18;

    private readonly IFloatMatrix _matrix;
    private readonly float _inverseScale;

    private WeightSource(IFloatMatrix matrix, WeightFormat format, float scale)
    {
        _matrix = matrix;
        Format = format;
        Scale = scale;
        _inverseScale = 1 / scale;
    }

    /// <inheritdoc/>
    public string Name => _matrix.Name;

    /// <inheritdoc/>
    public int OutputFeatures => _matrix.Rows;

    /// <inheritdoc/>
    public int InputFeatures => _matrix.Columns;

    /// <inheritdoc/>
    public WeightFormat Format { get; }

    /// <inheritdoc/>
    public float Scale { get; }

    /// <summary>Scans the matrix once, on several threads, to verify that it is finite and to choose the scale.</summary>
    /// <param name="matrix">[out, in], read again by <see cref="ReadRows"/>.</param>
    /// <param name="format">The requested format.</param>
    /// <exception cref="CheckpointException">An element is infinite or not a number.</exception>
    public static WeightSource Create(IFloatMatrix matrix, WeightFormat format)
    {
        ArgumentNullException.ThrowIfNull(matrix);
        ArgumentOutOfRangeException.ThrowIfLessThan(matrix.Rows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(matrix.Columns, 1);
        if (!Enum.IsDefined(format)) throw new ArgumentOutOfRangeException(nameof(format));
        float largest = LargestMagnitude(matrix);
        return new WeightSource(matrix, format, format == WeightFormat.Fp32 ? 1 : ScaleFor(largest));
    }

    /// <inheritdoc/>
    public void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales)
    {
        int rowBytes = checked((int)WeightLayout.RowBytes(Format, InputFeatures)), groupBytes = WeightLayout.GroupBytes(Format);
        int rowScales = WeightLayout.ScalesPerRow(Format, InputFeatures);
        ArgumentOutOfRangeException.ThrowIfNegative(firstRow);
        ArgumentOutOfRangeException.ThrowIfNegative(rowCount);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstRow, OutputFeatures - rowCount);
        if (values.Length != (long)rowCount * rowBytes)
            throw new ArgumentException(
                $"{Name}: {rowCount} rows need {(long)rowCount * rowBytes} bytes, not {values.Length}.", nameof(values));
        if (scales.Length != (long)rowCount * rowScales)
            throw new ArgumentException(
                $"{Name}: {rowCount} rows need {(long)rowCount * rowScales} scales, not {scales.Length}.", nameof(scales));

        Span<float> piece = stackalloc float[Piece];
        for (int row = 0; row < rowCount; row++)
        {
            Span<byte> rowValues = values.Slice(row * rowBytes, rowBytes);
            Span<Half> scalesOfRow = scales.Slice(row * rowScales, rowScales);
            for (int column = 0; column < InputFeatures; column += Piece)
            {
                int read = Math.Min(Piece, InputFeatures - column), stored = WeightLayout.PaddedRow(read);
                _matrix.Read(((long)(firstRow + row) * InputFeatures) + column, piece[..read]);
                piece[read..stored].Clear();
                int group = column / WeightLayout.GroupSize;
                Store(piece[..stored], rowValues[(group * groupBytes)..], rowScales == 0 ? [] : scalesOfRow[group..]);
            }
        }
    }

    /// <summary>Returns the matrix that a device computes with, Scale · dequantized(values, scales), for tests and oracles.</summary>
    /// <param name="source">Any source of weights.</param>
    /// <param name="firstRow">First row.</param>
    /// <param name="rowCount">Number of rows.</param>
    /// <param name="destination">rowCount · InputFeatures elements, without padding.</param>
    public static void Dequantize(IWeightSource source, int firstRow, int rowCount, Span<float> destination)
    {
        ArgumentNullException.ThrowIfNull(source);
        int columns = source.InputFeatures;
        byte[] values = new byte[WeightLayout.RowBytes(source.Format, columns)];
        Half[] scales = new Half[WeightLayout.ScalesPerRow(source.Format, columns)];
        for (int row = 0; row < rowCount; row++)
        {
            source.ReadRows(firstRow + row, 1, values, scales);
            Span<float> to = destination.Slice(row * columns, columns);
            for (int k = 0; k < columns; k++)
            {
                to[k] = source.Scale * source.Format switch
                {
                    WeightFormat.Fp32 => MemoryMarshal.Cast<byte, float>(values)[k],
                    WeightFormat.Fp16 => (float)MemoryMarshal.Cast<byte, Half>(values)[k],
                    WeightFormat.Int8 => (sbyte)values[k] * (float)scales[k / WeightLayout.GroupSize],
                    _ => Int4Groups.Value(values, k) * (float)scales[k / WeightLayout.GroupSize],
                };
            }
        }
    }

    /// <summary>Stores whole groups, the first one at the beginning of <paramref name="values"/> and <paramref name="scales"/>.</summary>
    private void Store(Span<float> piece, Span<byte> values, Span<Half> scales)
    {
        const int Group = WeightLayout.GroupSize;
        if (Format == WeightFormat.Fp32)
        {
            piece.CopyTo(MemoryMarshal.Cast<byte, float>(values));
            return;
        }

        TensorPrimitives.Multiply(piece, _inverseScale, piece);
        if (Format == WeightFormat.Fp16)
        {
            TensorPrimitives.ConvertToHalf(piece, MemoryMarshal.Cast<byte, Half>(values));
            return;
        }

        int groupBytes = WeightLayout.GroupBytes(Format);
        for (int g = 0; g < piece.Length / Group; g++)
        {
            ReadOnlySpan<float> group = piece.Slice(g * Group, Group);
            Span<byte> stored = values.Slice(g * groupBytes, groupBytes);
            scales[g] = Format == WeightFormat.Int8
                ? Int8Groups.Quantize(group, MemoryMarshal.Cast<byte, sbyte>(stored)) : Int4Groups.Quantize(group, stored);
        }
    }

    /// <summary>
    /// Returns 2^(⌊log₂ largest⌋ − 14), or 1 for a matrix of zeros. It is at least 2⁻¹²⁶, so that its inverse is finite; only
    /// matrices of magnitude below 2⁻¹¹² would need less.
    /// </summary>
    private static float ScaleFor(float largest) =>
        largest == 0 ? 1 : MathF.ScaleB(1, Math.Max(-126, MathF.ILogB(largest) - 14));

    private static float LargestMagnitude(IFloatMatrix matrix)
    {
        long count = (long)matrix.Rows * matrix.Columns;
        int largest = 0;
        Lock gate = new();
        Parallel.For(
            0L,
            (count + ScanBlock - 1) / ScanBlock,
            () => 0,
            (block, _, known) => Math.Max(known, LargestBits(matrix, block * ScanBlock, count)),
            found =>
        {
            lock (gate) largest = Math.Max(largest, found);
        });
        float magnitude = BitConverter.Int32BitsToSingle(largest);
        if (!float.IsFinite(magnitude)) throw NotFinite(matrix, count);
        return magnitude;
    }

    /// <summary>
    /// Returns the bits of the largest magnitude in a block. The bits of non-negative floats have the same order as their values, with
    /// infinity and NaN above all finite values: one integer maximum finds both the largest magnitude and invalid elements.
    /// </summary>
    private static int LargestBits(IFloatMatrix matrix, long first, long count)
    {
        Span<float> piece = stackalloc float[Piece];
        Vector<int> largest = Vector<int>.Zero, magnitude = new(int.MaxValue);
        for (long end = Math.Min(first + ScanBlock, count); first < end; first += Piece)
        {
            int read = (int)Math.Min(Piece, end - first);
            matrix.Read(first, piece[..read]);
            piece[read..].Clear();
            ReadOnlySpan<int> bits = MemoryMarshal.Cast<float, int>(piece);
            for (int i = 0; i < Piece; i += Vector<int>.Count) largest = Vector.Max(largest, new Vector<int>(bits[i..]) & magnitude);
        }
        int result = 0;
        for (int i = 0; i < Vector<int>.Count; i++) result = Math.Max(result, largest[i]);
        return result;
    }

    private static CheckpointException NotFinite(IFloatMatrix matrix, long count)
    {
        Span<float> piece = stackalloc float[Piece];
        for (long first = 0; first < count; first += Piece)
        {
            int read = (int)Math.Min(Piece, count - first);
            matrix.Read(first, piece[..read]);
            for (int i = 0; i < read; i++)
            {
                if (float.IsFinite(piece[i])) continue;
                string value = piece[i].ToString(CultureInfo.InvariantCulture);
                return new CheckpointException(
                    $"Tensor {matrix.Name} is {value} at row {(first + i) / matrix.Columns}, column {(first + i) % matrix.Columns}: "
                    + $"the checkpoint is damaged. Download it again.");
            }
        }
        throw new InvalidOperationException($"{matrix.Name} changed while it was read.");
    }
}
