using LdlVk.DirectML.Interop;

namespace LdlVk.DirectML.Graphs;

/// <summary>How DirectML reads a buffer: element type, sizes, and elements from one index to the next in each dimension.</summary>
internal sealed class TensorLayout
{
    /// <summary>Elements one after the other.</summary>
    public TensorLayout(DataType type, params uint[] sizes)
        : this(type, sizes, Packed(sizes))
    {
    }

    /// <summary>Elements <paramref name="strides"/> apart; a stride of 0 repeats them.</summary>
    public TensorLayout(DataType type, uint[] sizes, uint[] strides)
    {
        // The stride of a single element means nothing; as 0 it compares.
        strides = [.. strides.Select((stride, i) => sizes[i] == 1 ? 0 : stride)];
        (Type, Sizes, Strides) = (type, sizes, strides);
        IsPacked = strides.AsSpan().SequenceEqual(Packed(sizes));
        ulong last = 0;
        for (int i = 0; i < sizes.Length; i++) last += (ulong)(sizes[i] - 1) * strides[i];
        Bytes = (((last + 1) * ElementBytes(type)) + 3) & ~3ul;
    }

    public DataType Type { get; }

    public uint[] Sizes { get; }

    public uint[] Strides { get; }

    public bool IsPacked { get; }

    /// <summary>Bytes from the first element to the last, rounded up to four as DirectML wants it.</summary>
    public ulong Bytes { get; }

    public long Elements => Sizes.Aggregate(1L, (product, size) => product * size);

    /// <summary>A matrix with rows of <paramref name="stride"/> elements, of which the first <paramref name="columns"/> count.</summary>
    public static TensorLayout Matrix(int rows, int columns, int stride, DataType type = DataType.Float32) =>
        new(type, [1, 1, (uint)rows, (uint)columns], [0, 0, (uint)stride, 1]);

    /// <summary>The same sizes, packed.</summary>
    public TensorLayout AsPacked() => IsPacked ? this : new TensorLayout(Type, Sizes);

    /// <summary>The same sizes, of another type, packed.</summary>
    public TensorLayout As(DataType type) => new(type, Sizes);

    /// <summary>The same elements with other sizes and strides.</summary>
    public TensorLayout Viewed(uint[] sizes, uint[] strides) => new(Type, sizes, strides);

    private static uint[] Packed(uint[] sizes)
    {
        uint[] strides = new uint[sizes.Length];
        uint stride = 1;
        for (int i = sizes.Length - 1; i >= 0; i--)
        {
            strides[i] = sizes[i] == 1 ? 0 : stride;
            stride *= sizes[i];
        }
        return strides;
    }

    private static uint ElementBytes(DataType type) => type switch
    {
        DataType.Float32 or DataType.UInt32 => 4,
        DataType.Float16 => 2,
        _ => 1,
    };
}
