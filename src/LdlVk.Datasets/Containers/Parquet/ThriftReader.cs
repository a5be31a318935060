namespace LdlVk.Datasets.Containers.Parquet;

/// <summary>Types of Thrift's compact protocol.</summary>
internal enum ThriftType
{
    Stop, True, False, Byte, Int16, Int32, Int64, Double, Binary, List, Set, Map, Struct,
}

/// <summary>
/// Reads Thrift's compact protocol (github.com/apache/thrift, doc/specs/thrift-compact-protocol.md), in which Parquet describes itself.
/// Whatever the bytes are, reading ends with them and goes no deeper than <see cref="MaxDepth"/>.
/// </summary>
/// <exception cref="InvalidDataException">The bytes are not what they should be.</exception>
/// <exception cref="EndOfStreamException">There are too few of them.</exception>
internal ref struct ThriftReader(ReadOnlySpan<byte> bytes)
{
    private const int MaxDepth = 32;

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    /// <summary>Bytes read so far.</summary>
    public int Position { get; set; }

    /// <summary>The next field of a struct; false at its end.</summary>
    /// <param name="field">Its number; 0 before the first.</param>
    /// <param name="type">What follows.</param>
    public bool Next(ref int field, out ThriftType type)
    {
        byte header = Take(1)[0];
        type = Type(header & 15);
        if (type == ThriftType.Stop) return false;
        field = header >> 4 is > 0 and var delta ? field + delta : (int)ZigZag();
        return true;
    }

    /// <summary>A whole number.</summary>
    public long Integer(ThriftType type) => type switch
    {
        ThriftType.Byte => (sbyte)Take(1)[0],
        ThriftType.Int16 or ThriftType.Int32 or ThriftType.Int64 => ZigZag(),
        _ => throw new InvalidDataException("a number is missing in its description."),
    };

    /// <summary>A whole number from 0 on that fits into an <see cref="int"/>.</summary>
    public int Count(ThriftType type) => Integer(type) is >= 0 and <= int.MaxValue and var count
        ? (int)count : throw new InvalidDataException("its description has a number that is negative or too large.");

    /// <summary>True or false, as a field.</summary>
    public readonly bool Boolean(ThriftType type) => type switch
    {
        ThriftType.True => true,
        ThriftType.False => false,
        _ => throw new InvalidDataException("its description is not what it should be."),
    };

    /// <summary>Bytes with their length.</summary>
    public ReadOnlySpan<byte> Binary(ThriftType type)
    {
        Expect(type, ThriftType.Binary);
        return Take(Length());
    }

    /// <summary>The head of a list of structs, which follow.</summary>
    /// <returns>Their number, which is no larger than that of the bytes left.</returns>
    public int StructList(ThriftType type)
    {
        Expect(type, ThriftType.List);
        (int count, ThriftType item) = ListHead();
        if (count > 0) Expect(item, ThriftType.Struct);
        return count;
    }

    /// <summary>Begins a struct that is a field.</summary>
    public static void Struct(ThriftType type) => Expect(type, ThriftType.Struct);

    /// <summary>Passes over a field's value.</summary>
    public void Skip(ThriftType type) => Skip(type, isField: true, MaxDepth);

    private void Skip(ThriftType type, bool isField, int depth)
    {
        if (depth == 0) throw new InvalidDataException("its description is nested too deeply.");
        switch (type)
        {
            case ThriftType.True or ThriftType.False:
                if (!isField) Take(1);
                break;
            case ThriftType.Byte:
                Take(1);
                break;
            case ThriftType.Int16 or ThriftType.Int32 or ThriftType.Int64:
                Varint();
                break;
            case ThriftType.Double:
                Take(8);
                break;
            case ThriftType.Binary:
                Take(Length());
                break;
            case ThriftType.List or ThriftType.Set:
                (int count, ThriftType item) = ListHead();
                for (int i = 0; i < count; i++) Skip(item, isField: false, depth - 1);
                break;
            case ThriftType.Map:
                int pairs = Length();
                if (pairs == 0) break;
                byte types = Take(1)[0];
                for (int i = 0; i < pairs; i++)
                {
                    Skip(Type(types >> 4), isField: false, depth - 1);
                    Skip(Type(types & 15), isField: false, depth - 1);
                }

                break;
            case ThriftType.Struct:
                for (int field = 0; Next(ref field, out ThriftType inner);) Skip(inner, isField: true, depth - 1);
                break;
            default:
                throw new InvalidDataException("its description is not what it should be.");
        }
    }

    private (int Count, ThriftType Item) ListHead()
    {
        byte head = Take(1)[0];
        int count = head >> 4 is < 15 and var few ? few : Length();
        // Every item has a byte at least.
        return count <= _bytes.Length - Position ? (count, Type(head & 15))
            : throw new EndOfStreamException("its description ends too early.");
    }

    private int Length() => Varint() is <= int.MaxValue and var length ? (int)length
        : throw new InvalidDataException("its description has a length that is too large.");

    private long ZigZag() => Varint() is var value ? (long)(value >> 1) ^ -(long)(value & 1) : 0;

    private ulong Varint()
    {
        ulong value = 0;
        for (int shift = 0; shift < 70; shift += 7)
        {
            byte next = Take(1)[0];
            value |= (ulong)(next & 127) << shift;
            if (next < 128) return value;
        }

        throw new InvalidDataException("its description has a number of more than 10 bytes.");
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > _bytes.Length - Position) throw new EndOfStreamException("its description ends too early.");
        ReadOnlySpan<byte> taken = _bytes.Slice(Position, count);
        Position += count;
        return taken;
    }

    private static ThriftType Type(int code) =>
        code <= (int)ThriftType.Struct ? (ThriftType)code : throw new InvalidDataException("its description is not what it should be.");

    private static void Expect(ThriftType type, ThriftType wanted)
    {
        if (type != wanted) throw new InvalidDataException("its description is not what it should be.");
    }
}
