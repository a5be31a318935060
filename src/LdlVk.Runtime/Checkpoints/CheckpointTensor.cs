namespace LdlVk.Runtime.Checkpoints;

/// <summary>A row-major matrix of numbers that can be read in parts; the input of the quantizers.</summary>
internal interface IFloatMatrix
{
    /// <summary>The matrix's name, for messages.</summary>
    string Name { get; }

    /// <summary>Number of rows.</summary>
    int Rows { get; }

    /// <summary>Number of columns.</summary>
    int Columns { get; }

    /// <summary>Reads consecutive elements, counted row by row. Thread-safe.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the matrix.</exception>
    void Read(long firstElement, Span<float> destination);
}

/// <summary>
/// One tensor of a checkpoint file, with verified shape and byte range. Reading converts directly from the mapped pages and caches nothing.
/// Valid until its checkpoint is disposed.
/// </summary>
internal sealed class CheckpointTensor : IFloatMatrix
{
    /// <summary>Elements converted at a time, so that byte counts stay within an <see cref="int"/>.</summary>
    private const int Piece = 1 << 24;

    private readonly MappedFile _file;
    private readonly long _firstByte;
    private readonly int[] _shape;
    private readonly long[]? _strides;

    /// <summary>Describes elements that the caller has checked to lie inside <paramref name="file"/>.</summary>
    /// <param name="name">The tensor's name, for messages.</param>
    /// <param name="type">Element type.</param>
    /// <param name="shape">Dimensions, none negative, with a product within a <see cref="long"/>.</param>
    /// <param name="file">The file.</param>
    /// <param name="firstByte">Byte offset of element 0.</param>
    /// <param name="strides">Distance in elements between neighboring indices of each dimension; null for row-major.</param>
    internal CheckpointTensor(string name, ElementType type, int[] shape, MappedFile file, long firstByte, long[]? strides = null)
    {
        Name = name;
        ElementType = type;
        _shape = shape;
        _file = file;
        _firstByte = firstByte;
        _strides = strides is null || IsRowMajor(shape, strides) ? null : strides;
        Count = 1;
        foreach (int dimension in shape) Count *= dimension;
    }

    /// <summary>Its name in the checkpoint (without <c>model.</c>), or file and key for the heads.</summary>
    public string Name { get; }

    /// <summary>Dimensions, outermost first.</summary>
    public IReadOnlyList<int> Shape => _shape;

    /// <summary>The element type in the file.</summary>
    public ElementType ElementType { get; }

    /// <summary>Number of elements.</summary>
    public long Count { get; }

    /// <summary>Bytes of the elements in the file.</summary>
    public long Bytes => Count * ElementType.Bytes();

    /// <summary>The path of the file.</summary>
    public string File => _file.Path;

    /// <summary>Product of all dimensions except the last; 1 for a vector.</summary>
    public int Rows => Columns == 0 ? 0 : checked((int)(Count / Columns));

    /// <summary>The last dimension.</summary>
    public int Columns => _shape.Length == 0 ? 1 : _shape[^1];

    /// <summary>Reads consecutive elements in row-major order as floats; only fp64 is rounded. Thread-safe.</summary>
    /// <param name="firstElement">Index of the first, counted over the whole tensor.</param>
    /// <param name="destination">Filled to its end.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the tensor.</exception>
    /// <exception cref="ObjectDisposedException">The checkpoint is disposed.</exception>
    public void Read(long firstElement, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstElement);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstElement, Count - destination.Length);
        using MappedFile.Lease lease = _file.Acquire();
        if (_strides is null) ReadRun(lease, firstElement, destination);
        else ReadStrided(lease, firstElement, destination, _strides);
    }

    /// <summary>Reads all elements, for tensors that are small.</summary>
    internal float[] ReadAll()
    {
        float[] values = new float[Count];
        Read(0, values);
        return values;
    }

    /// <summary>Copies raw bytes of the file from an offset relative to the first element. Thread-safe; not for strided tensors.</summary>
    internal void CopyBytes(long firstByte, Span<byte> destination)
    {
        if (_strides is not null) throw new InvalidOperationException($"{Name} is strided.");
        ArgumentOutOfRangeException.ThrowIfNegative(firstByte);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstByte, Bytes - destination.Length);
        using MappedFile.Lease lease = _file.Acquire();
        lease.Slice(_firstByte + firstByte, destination.Length).CopyTo(destination);
    }

    private void ReadRun(MappedFile.Lease lease, long index, Span<float> destination)
    {
        int size = ElementType.Bytes();
        while (destination.Length > 0)
        {
            int count = Math.Min(destination.Length, Piece);
            Elements.ToSingle(ElementType, lease.Slice(_firstByte + (index * size), count * size), destination[..count]);
            index += count;
            destination = destination[count..];
        }
    }

    private void ReadStrided(MappedFile.Lease lease, long element, Span<float> destination, long[] strides)
    {
        int last = _shape.Length - 1;
        while (destination.Length > 0)
        {
            // The offset of this element, from its index in each dimension, innermost first.
            long rest = element, index = 0;
            for (int d = last; d >= 0; d--)
            {
                index += rest % _shape[d] * strides[d];
                rest /= _shape[d];
            }
            int run = (int)Math.Min(destination.Length, _shape[last] - (element % _shape[last]));
            if (strides[last] == 1) ReadRun(lease, index, destination[..run]);
            else for (int i = 0; i < run; i++) ReadRun(lease, index + (i * strides[last]), destination.Slice(i, 1));
            element += run;
            destination = destination[run..];
        }
    }

    private static bool IsRowMajor(int[] shape, long[] strides)
    {
        long expected = 1;
        for (int d = shape.Length - 1; d >= 0; d--)
        {
            if (shape[d] != 1 && strides[d] != expected) return false;
            expected *= shape[d];
        }
        return true;
    }
}
