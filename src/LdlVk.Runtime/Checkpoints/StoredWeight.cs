using System.Runtime.InteropServices;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// A matrix of a converted folder. Its files have the row layout of devices (<see cref="ConvertedFormat"/>), so reading only
/// copies. Valid until its checkpoint is disposed.
/// </summary>
internal sealed class StoredWeight : IWeightSource
{
    private readonly FileRange _values;
    private readonly FileRange? _scales;

    private StoredWeight(string name, int rows, int columns, WeightFormat format, float scale, FileRange values, FileRange? scales)
    {
        (Name, OutputFeatures, InputFeatures, Format, Scale) = (name, rows, columns, format, scale);
        (_values, _scales) = (values, scales);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public int OutputFeatures { get; }

    /// <inheritdoc/>
    public int InputFeatures { get; }

    /// <inheritdoc/>
    public WeightFormat Format { get; }

    /// <inheritdoc/>
    public float Scale { get; }

    /// <summary>Size of the matrix's tensors in the files, in bytes.</summary>
    public long Bytes => _values.Length + (_scales?.Length ?? 0) + sizeof(float);

    /// <summary>Finds and verifies the tensors of a matrix [rows, columns].</summary>
    /// <exception cref="CheckpointException">A tensor is missing or has another type or shape, or the factor is not a power of
    /// two.</exception>
    public static StoredWeight Open(ShardedTensors tensors, string name, int rows, int columns, WeightFormat format)
    {
        (string type, int[] shape) = ConvertedFormat.Values(format, rows, columns);
        FileRange values = tensors.Range(name, type, shape);
        FileRange? scales = WeightLayout.HasScales(format)
            ? tensors.Range(name + ConvertedFormat.ScalesSuffix, "F16", rows, WeightLayout.ScalesPerRow(format, columns)) : null;
        FileRange factor = tensors.Range(name + ConvertedFormat.FactorSuffix, "F32", 1);
        float scale = 0;
        factor.CopyTo(0, MemoryMarshal.AsBytes(new Span<float>(ref scale)));
        // A product with any other factor would be rounded, and the quantizers write no factor outside this range.
        if (!float.IsNormal(scale) || scale < 0 || (BitConverter.SingleToUInt32Bits(scale) & 0x7fffff) != 0)
            throw new CheckpointException(
                $"Tensor {name}{ConvertedFormat.FactorSuffix} of {factor.Path} is {Shown.Number(scale)}, not a power of two: "
                + $"the file is damaged. Convert the original again.");
        return new StoredWeight(name, rows, columns, format, scale, values, scales);
    }

    /// <inheritdoc/>
    public void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales)
    {
        long rowBytes = WeightLayout.RowBytes(Format, InputFeatures);
        int rowScales = WeightLayout.ScalesPerRow(Format, InputFeatures);
        ArgumentOutOfRangeException.ThrowIfNegative(firstRow);
        ArgumentOutOfRangeException.ThrowIfNegative(rowCount);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstRow, OutputFeatures - rowCount);
        if (values.Length != rowCount * rowBytes)
            throw new ArgumentException($"{Name}: {rowCount} rows need {rowCount * rowBytes} bytes, not {values.Length}.", nameof(values));
        if (scales.Length != (long)rowCount * rowScales)
            throw new ArgumentException(
                $"{Name}: {rowCount} rows need {(long)rowCount * rowScales} scales, not {scales.Length}.", nameof(scales));
        _values.CopyTo(firstRow * rowBytes, values);
        _scales?.CopyTo((long)firstRow * rowScales * 2, MemoryMarshal.AsBytes(scales));
    }
}

/// <summary>Bytes of a tensor in a file, verified to lie inside it.</summary>
internal sealed class FileRange(FileBytes file, long first, long length)
{
    /// <summary>Number of bytes.</summary>
    public long Length => length;

    /// <summary>The file, for messages.</summary>
    public string Path => file.Path;

    /// <summary>Copies bytes from <paramref name="offset"/> on. Thread-safe.</summary>
    public void CopyTo(long offset, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, length - destination.Length);
        file.Read(first + offset, destination);
    }
}
