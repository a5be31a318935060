using System.Buffers.Binary;
using System.Text;

namespace LdlVk.Datasets.Containers.Arrow;

/// <summary>
/// A table of FlatBuffers (flatbuffers.dev, "Internals"), the format of Arrow's metadata. Every access checks its place, and every offset
/// points forward, so that no bytes lead outside of them or into a circle.
/// </summary>
/// <exception cref="InvalidDataException">The bytes are not what they should be.</exception>
internal readonly ref struct FlatTable
{
    private readonly ReadOnlySpan<byte> _bytes;
    private readonly int _at, _fields;

    private FlatTable(ReadOnlySpan<byte> bytes, int at)
    {
        _bytes = bytes;
        _at = at;
        _fields = checked(at - Int32(at));
        if (_fields < 0) throw Damaged();
    }

    /// <summary>Returns the table at the beginning.</summary>
    public static FlatTable Root(ReadOnlySpan<byte> bytes) =>
        new(bytes, bytes.Length >= 4 ? Forward(0, BinaryPrimitives.ReadUInt32LittleEndian(bytes)) : throw Damaged());

    /// <summary>Returns a number; <paramref name="otherwise"/> if the field is not there.</summary>
    public long Int64(int field, long otherwise = 0) => Place(field) is > 0 and var at ? Take<long>(at) : otherwise;

    /// <inheritdoc cref="Int64(int, long)"/>
    public int Int32(int field, int otherwise) => Place(field) is > 0 and var at ? Int32(at) : otherwise;

    /// <inheritdoc cref="Int64(int, long)"/>
    public int Int16(int field, int otherwise) => Place(field) is > 0 and var at ? Take<short>(at) : otherwise;

    /// <inheritdoc cref="Int64(int, long)"/>
    public int Byte(int field, int otherwise = 0) => Place(field) is > 0 and var at ? Take<byte>(at) : otherwise;

    /// <summary>Whether a table, a string or a list is there.</summary>
    public bool Has(int field) => Place(field) > 0;

    /// <summary>Returns a table that a field refers to.</summary>
    public FlatTable Table(int field) => Place(field) is > 0 and var at ? new FlatTable(_bytes, Target(at)) : throw Damaged();

    /// <summary>Returns a text; empty if it is not there.</summary>
    public string Text(int field)
    {
        (int start, int length) = List(field, 1);
        return Encoding.UTF8.GetString(_bytes.Slice(start, length));
    }

    /// <summary>Returns the number of items of a list; 0 if it is not there.</summary>
    /// <param name="field">The field.</param>
    /// <param name="itemBytes">Size of an item.</param>
    public int Count(int field, int itemBytes = 4) => List(field, itemBytes).Count;

    /// <summary>Returns a table of a list.</summary>
    public FlatTable Table(int field, int index)
    {
        (int start, int count) = List(field, 4);
        return (uint)index < (uint)count ? new FlatTable(_bytes, Target(start + (4 * index))) : throw Damaged();
    }

    /// <summary>Returns one of the numbers of which the items of a list are made.</summary>
    public long Int64(int field, int itemBytes, int index, int number)
    {
        (int start, int count) = List(field, itemBytes);
        return (uint)index < (uint)count ? Take<long>(start + (itemBytes * index) + (8 * number)) : throw Damaged();
    }

    private (int Start, int Count) List(int field, int itemBytes)
    {
        if (Place(field) is not (> 0 and var at)) return (0, 0);
        int start = Target(at), count = Int32(start);
        if (count < 0 || count > (_bytes.Length - start - 4) / itemBytes) throw Damaged();
        return (start + 4, count);
    }

    /// <summary>Returns where a field is; 0 if it is not there.</summary>
    private int Place(int field)
    {
        int size = Take<ushort>(_fields), entry = 4 + (2 * field);
        if (entry + 2 > size) return 0;
        int offset = Take<ushort>(_fields + entry);
        return offset == 0 ? 0 : _at + offset;
    }

    private int Target(int at) => Forward(at, Take<uint>(at));

    private static int Forward(int at, uint offset) => offset is > 0 and < int.MaxValue / 2 ? at + (int)offset : throw Damaged();

    private int Int32(int at) => Take<int>(at);

    private T Take<T>(int at) where T : unmanaged
    {
        int size = System.Runtime.CompilerServices.Unsafe.SizeOf<T>();
        if (at < 0 || at > _bytes.Length - size) throw Damaged();
        return System.Runtime.InteropServices.MemoryMarshal.Read<T>(_bytes[at..]);
    }

    private static InvalidDataException Damaged() => new("its metadata is not what it should be.");
}
