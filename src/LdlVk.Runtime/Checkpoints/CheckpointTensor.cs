using System.Runtime.InteropServices;
using LdlVk.Runtime.Checkpoints.Adapters;

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
/// One tensor of a checkpoint file, with verified shape and byte range. Reading caches nothing. Valid until its checkpoint is
/// disposed.
/// </summary>
internal sealed class CheckpointTensor : IFloatMatrix
{
    private readonly FileBytes _file;
    private readonly long _firstByte;
    private readonly int[] _shape;
    private readonly long[]? _strides;
    private readonly LowRankUpdate? _update;
    private readonly Fp8Scales? _scales;

    /// <summary>Describes elements that the caller has checked to lie inside <paramref name="file"/>.</summary>
    /// <param name="name">The tensor's name, for messages.</param>
    /// <param name="type">Element type.</param>
    /// <param name="shape">Dimensions, none negative, with a product within a <see cref="long"/>.</param>
    /// <param name="file">The file.</param>
    /// <param name="firstByte">Byte offset of element 0.</param>
    /// <param name="strides">Distance in elements between neighboring indices of each dimension; null for row-major.</param>
    /// <param name="update">What an adapter adds to the elements; null for nothing.</param>
    /// <param name="scales">By what the elements are multiplied before; null for nothing.</param>
    internal CheckpointTensor(
        string name, ElementType type, int[] shape, FileBytes file, long firstByte, long[]? strides = null, LowRankUpdate? update = null,
        Fp8Scales? scales = null)
    {
        Name = name;
        ElementType = type;
        _shape = shape;
        _file = file;
        _firstByte = firstByte;
        _update = update;
        _scales = scales;
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

    /// <summary>Whether the elements are those of the file, without scales and updates.</summary>
    internal bool IsInFile => _update is null && _scales is null;

    /// <summary>Returns the same tensor under another name in messages.</summary>
    internal CheckpointTensor Named(string name) => new(name, ElementType, _shape, _file, _firstByte, _strides, _update, _scales);

    /// <summary>Returns this matrix with the update of an adapter, which is added to the elements as they are read.</summary>
    internal CheckpointTensor With(LowRankUpdate update) => new(Name, ElementType, _shape, _file, _firstByte, _strides, update, _scales);

    /// <summary>Returns this fp8 matrix with its scales, by which the elements are multiplied as they are read.</summary>
    internal CheckpointTensor With(Fp8Scales scales) => new(Name, ElementType, _shape, _file, _firstByte, _strides, _update, scales);

    /// <summary>
    /// Reads consecutive elements in row-major order as floats, with the scales of fp8 and the update of an adapter. Of the types, only
    /// fp64 is rounded. Thread-safe.
    /// </summary>
    /// <param name="firstElement">Index of the first, counted over the whole tensor.</param>
    /// <param name="destination">Filled to its end.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the tensor.</exception>
    /// <exception cref="ObjectDisposedException">The checkpoint is disposed.</exception>
    public void Read(long firstElement, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(firstElement);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstElement, Count - destination.Length);
        if (_strides is null) ReadRun(firstElement, destination);
        else ReadStrided(firstElement, destination, _strides);
        _scales?.Apply(firstElement, destination);
        _update?.AddTo(firstElement, destination);
    }

    /// <summary>Reads all elements, for tensors that are small.</summary>
    internal float[] ReadAll()
    {
        float[] values = new float[Count];
        Read(0, values);
        return values;
    }

    /// <summary>The matrix with rows and columns exchanged, read from the same bytes.</summary>
    internal CheckpointTensor Transposed()
    {
        if (_shape.Length != 2 || !IsInFile)
            throw new InvalidOperationException($"{Name} has no transpose.");
        long[] strides = _strides is null ? [1, _shape[1]] : [_strides[1], _strides[0]];
        return new CheckpointTensor(Name, ElementType, [_shape[1], _shape[0]], _file, _firstByte, strides);
    }

    /// <summary>One index of the first dimension as a tensor of its own: [1, …] of a matrix, [1] of a vector.</summary>
    internal CheckpointTensor RowAt(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, _shape[0]);
        if (!IsInFile) return Computed(index);
        long stride = _strides is null ? Count / _shape[0] : _strides[0];
        return new CheckpointTensor(
            $"row {index} of {Name}", ElementType, [1, .. _shape.AsSpan(1)], _file, _firstByte + (index * stride * ElementType.Bytes()),
            _strides);
    }

    /// <summary>One index of the first dimension, with scales and update, in fp32: it is computed when it is first read.</summary>
    private CheckpointTensor Computed(int index)
    {
        int count = checked((int)(Count / _shape[0]));
        FileBytes row = FileBytes.InMemory(File, Math.Max(1, count) * sizeof(float), to =>
        {
            float[] values = new float[count];
            Read((long)index * count, values);
            to.Write(MemoryMarshal.AsBytes(values.AsSpan()));
        });
        return new CheckpointTensor($"row {index} of {Name}", ElementType.Fp32, [1, .. _shape.AsSpan(1)], row, 0);
    }

    /// <summary>
    /// Copies bytes of the elements in row-major order, from an offset relative to the first element. Thread-safe. Of a strided tensor,
    /// only whole elements are copied.
    /// </summary>
    internal void CopyBytes(long firstByte, Span<byte> destination)
    {
        if (!IsInFile) throw new InvalidOperationException($"{Name} is not in a file as it is read.");
        ArgumentOutOfRangeException.ThrowIfNegative(firstByte);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstByte, Bytes - destination.Length);
        if (_strides is null)
        {
            _file.Read(_firstByte + firstByte, destination);
            return;
        }

        int size = ElementType.Bytes();
        if (firstByte % size != 0 || destination.Length % size != 0)
            throw new ArgumentException($"{Name}: a part of an element is asked for.", nameof(destination));
        for (int at = 0; at < destination.Length;)
        {
            int run = Run((firstByte + at) / size, (destination.Length - at) / size, _strides, out long index, out long step);
            CopyRun(index, step, destination.Slice(at, run * size));
            at += run * size;
        }
    }

    private void ReadRun(long index, Span<float> destination, long step = 1)
    {
        if (ElementType == ElementType.Fp32)
        {
            CopyRun(index, step, MemoryMarshal.AsBytes(destination));
            return;
        }

        int size = ElementType.Bytes(), most = FileBytes.Piece / size;
        using Scratch scratch = new(Math.Min(destination.Length, most) * size);
        while (destination.Length > 0)
        {
            int count = Math.Min(destination.Length, most);
            Span<byte> bytes = scratch.Bytes[..(count * size)];
            CopyRun(index, step, bytes);
            Elements.ToSingle(ElementType, bytes, destination[..count]);
            index += count * step;
            destination = destination[count..];
        }
    }

    private void CopyRun(long index, long step, Span<byte> destination)
    {
        int size = ElementType.Bytes();
        if (step == 1) _file.Read(_firstByte + (index * size), destination);
        else _file.Gather(_firstByte + (index * size), step * size, size, destination);
    }

    private void ReadStrided(long element, Span<float> destination, long[] strides)
    {
        while (destination.Length > 0)
        {
            int run = Run(element, destination.Length, strides, out long index, out long step);
            ReadRun(index, destination[..run], step);
            element += run;
            destination = destination[run..];
        }
    }

    /// <summary>
    /// Returns how many elements from <paramref name="element"/> on, at most <paramref name="most"/>, are in one row, the index of the
    /// first of them in the storage, and the distance between them there.
    /// </summary>
    private int Run(long element, int most, long[] strides, out long index, out long step)
    {
        int last = _shape.Length - 1;
        (index, step) = (0, strides[last]);
        long rest = element;
        for (int d = last; d >= 0; d--)
        {
            index += rest % _shape[d] * strides[d];
            rest /= _shape[d];
        }

        return (int)Math.Min(most, _shape[last] - (element % _shape[last]));
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
