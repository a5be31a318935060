using System.Buffers.Binary;

namespace LdlVk.Datasets.Containers.Parquet;

/// <summary>A value of a column.</summary>
/// <param name="Number">A whole number, the bits of a double, or 0 and 1 for false and true.</param>
/// <param name="Bytes">Of a byte array, valid until the column's next page.</param>
internal readonly record struct PageValue(long Number, ReadOnlyMemory<byte> Bytes = default);

/// <summary>The values of a page that are not null, one after another.</summary>
internal interface IPageValues
{
    /// <summary>The next one.</summary>
    /// <exception cref="InvalidDataException">There is none.</exception>
    PageValue Next();
}

/// <summary>Values as they are (encoding PLAIN).</summary>
internal sealed class PlainValues(PhysicalType type, ReadOnlyMemory<byte> bytes) : IPageValues
{
    private int _at, _bit;

    public PageValue Next()
    {
        switch (type)
        {
            case PhysicalType.Boolean:
                if (_at >= bytes.Length) throw new InvalidDataException("a page ends before its values do.");
                int value = (bytes.Span[_at] >> _bit) & 1;
                _bit = (_bit + 1) % 8;
                if (_bit == 0) _at++;
                return new PageValue(value);
            case PhysicalType.Int32:
                return new PageValue(BinaryPrimitives.ReadInt32LittleEndian(Take(4).Span));
            case PhysicalType.Int64:
                return new PageValue(BinaryPrimitives.ReadInt64LittleEndian(Take(8).Span));
            case PhysicalType.Float:
                return new PageValue(BitConverter.DoubleToInt64Bits(BinaryPrimitives.ReadSingleLittleEndian(Take(4).Span)));
            case PhysicalType.Double:
                return new PageValue(BinaryPrimitives.ReadInt64LittleEndian(Take(8).Span));
            default:
                return new PageValue(0, Take(BinaryPrimitives.ReadInt32LittleEndian(Take(4).Span)));
        }
    }

    private ReadOnlyMemory<byte> Take(int count)
    {
        if (count < 0 || count > bytes.Length - _at) throw new InvalidDataException("a page ends before its values do.");
        ReadOnlyMemory<byte> taken = bytes.Slice(_at, count);
        _at += count;
        return taken;
    }
}

/// <summary>Values as indices into a dictionary (PLAIN_DICTIONARY, RLE_DICTIONARY).</summary>
internal sealed class DictionaryValues(ReadOnlyMemory<PageValue> dictionary, RleDecoder indices) : IPageValues
{
    public PageValue Next()
    {
        int index = indices.Next();
        return (uint)index < (uint)dictionary.Length ? dictionary.Span[index]
            : throw new InvalidDataException($"a page names entry {(uint)index} of a dictionary of {dictionary.Length}.");
    }
}

/// <summary>Numbers with their first bytes together, then their second ones, and so on (BYTE_STREAM_SPLIT).</summary>
internal sealed class SplitValues(PhysicalType type, ReadOnlyMemory<byte> bytes) : IPageValues
{
    private readonly byte[] _value = new byte[type is PhysicalType.Int32 or PhysicalType.Float ? 4 : 8];
    private int _next;

    public PageValue Next()
    {
        int count = bytes.Length / _value.Length;
        if (_next >= count) throw new InvalidDataException("a page ends before its values do.");
        for (int i = 0; i < _value.Length; i++) _value[i] = bytes.Span[(i * count) + _next];
        _next++;
        return new PlainValues(type, _value).Next();
    }
}

/// <summary>Booleans as runs (RLE).</summary>
internal sealed class RunValues(RleDecoder bits) : IPageValues
{
    public PageValue Next() => new(bits.Next());
}

/// <summary>Whole numbers as differences, in blocks (DELTA_BINARY_PACKED).</summary>
internal sealed class DeltaValues : IPageValues
{
    private readonly ReadOnlyMemory<byte> _bytes;
    private readonly int _miniBlocks, _miniBlockValues;
    private readonly byte[] _widths;
    private readonly bool _isInt32;
    private long _left, _value, _least;
    private int _at, _miniBlock, _inMiniBlock, _packedAt;
    private bool _isFirst = true;

    /// <param name="bytes">A page from its values on.</param>
    /// <param name="isInt32">Whether sums wrap at 32 bits: Arrow and parquet-java write the differences of INT32 modulo 2³².</param>
    public DeltaValues(ReadOnlyMemory<byte> bytes, bool isInt32)
    {
        (_bytes, _isInt32) = (bytes, isInt32);
        ulong block = Varint(), miniBlocks = Varint();
        Count = (long)Varint();
        _value = ZigZag();
        if (block is 0 or > 1 << 20 || block % 128 != 0 || miniBlocks == 0 || block % miniBlocks != 0 || block / miniBlocks % 32 != 0
            || Count < 0)
            throw new InvalidDataException("a page of differences has blocks of no possible size.");
        (_miniBlocks, _miniBlockValues) = ((int)miniBlocks, (int)(block / miniBlocks));
        _widths = new byte[_miniBlocks];
        (_miniBlock, _inMiniBlock, _left) = (_miniBlocks, 0, Count);
    }

    /// <summary>Number of values.</summary>
    public long Count { get; }

    /// <summary>
    /// The offset of the first byte behind the values. Only the heads of the blocks are read: a block of 2 bytes may claim a million
    /// values, and reading all values of a page of 4 KB took 13 s.
    /// </summary>
    public static int FindEnd(ReadOnlyMemory<byte> bytes)
    {
        DeltaValues values = new(bytes, isInt32: true);
        long left = values.Count - 1; // The first value is in the head of the page.
        while (left > 0)
        {
            values.BeginBlock();
            for (int i = 0; i < values._miniBlocks && left > 0; i++, left -= values._miniBlockValues) values.PassMiniBlock(i);
        }

        return values._at;
    }

    public PageValue Next()
    {
        if (_left-- <= 0) throw new InvalidDataException("a page ends before its values do.");
        if (_isFirst)
        {
            _isFirst = false;
        }
        else
        {
            long above = Unpack();
            _value = unchecked(_value + _least + above);
            if (_isInt32) _value = unchecked((int)_value);
        }

        return new PageValue(_value);
    }

    private long Unpack()
    {
        if (_inMiniBlock == 0)
        {
            if (_miniBlock == _miniBlocks) BeginBlock();
            _packedAt = _at;
            PassMiniBlock(_miniBlock);
        }

        int width = _widths[_miniBlock];
        long bit = (long)_inMiniBlock * width;
        UInt128 bits = 0;
        int from = _packedAt + (int)(bit / 8), shift = (int)(bit % 8), size = (shift + width + 7) / 8;
        if (from + size > _at) throw new InvalidDataException("a page ends before its values do.");
        for (int i = 0; i < size; i++) bits |= (UInt128)_bytes.Span[from + i] << (8 * i);
        _inMiniBlock = (_inMiniBlock + 1) % _miniBlockValues;
        if (_inMiniBlock == 0) _miniBlock++;
        return unchecked((long)(ulong)((bits >> shift) & (((UInt128)1 << width) - 1)));
    }

    /// <summary>Moves behind a mini block. The last one is whole too, except that some writers cut it short.</summary>
    private void PassMiniBlock(int index) => _at = Math.Min(_bytes.Length, _at + (_miniBlockValues / 8 * _widths[index]));

    private void BeginBlock()
    {
        _least = ZigZag();
        if (_bytes.Length - _at < _miniBlocks) throw new InvalidDataException("a page ends before its values do.");
        _bytes.Span.Slice(_at, _miniBlocks).CopyTo(_widths);
        _at += _miniBlocks;
        _miniBlock = 0;
        if (_widths.Any(width => width > 64)) throw new InvalidDataException("a page has differences of more than 64 bits.");
    }

    private long ZigZag() => Varint() is var value ? (long)(value >> 1) ^ -(long)(value & 1) : 0;

    private ulong Varint()
    {
        ulong value = 0;
        for (int shift = 0; shift < 70 && _at < _bytes.Length; shift += 7)
        {
            byte next = _bytes.Span[_at++];
            value |= (ulong)(next & 127) << shift;
            if (next < 128) return value;
        }

        throw new InvalidDataException("a page ends before its values do.");
    }
}

/// <summary>
/// Texts behind their lengths (DELTA_LENGTH_BYTE_ARRAY), or behind what each has in common with the one before (DELTA_BYTE_ARRAY).
/// </summary>
internal sealed class DeltaTexts : IPageValues
{
    /// <summary>
    /// Bytes that the texts of a page may have in common with those before: some for free, and for each byte of the page.
    /// </summary>
    private const long MaxCopied = 64 << 20, MaxCopiedPerByte = 1 << 10;

    private readonly DeltaValues? _prefixes;
    private readonly DeltaValues _lengths;
    private readonly ReadOnlyMemory<byte> _bytes;
    private int _at;
    private long _copied;
    private byte[] _before = [];

    /// <param name="bytes">A page from its values on.</param>
    /// <param name="havePrefixes">Whether it is DELTA_BYTE_ARRAY.</param>
    public DeltaTexts(ReadOnlyMemory<byte> bytes, bool havePrefixes)
    {
        if (havePrefixes)
        {
            _prefixes = new DeltaValues(bytes, isInt32: true);
            bytes = bytes[DeltaValues.FindEnd(bytes)..];
        }

        _lengths = new DeltaValues(bytes, isInt32: true);
        _bytes = bytes[DeltaValues.FindEnd(bytes)..];
    }

    public PageValue Next()
    {
        long length = _lengths.Next().Number, prefix = _prefixes?.Next().Number ?? 0;
        if (length < 0 || length > _bytes.Length - _at || prefix < 0 || prefix > _before.Length)
            throw new InvalidDataException("a page ends before its values do.");
        ReadOnlyMemory<byte> own = _bytes.Slice(_at, (int)length);
        _at += (int)length;
        if (_prefixes is null) return new PageValue(0, own);
        _copied += prefix;
        if (_copied > MaxCopied + (MaxCopiedPerByte * _bytes.Length))
            throw new InvalidDataException("a page repeats its beginnings too often.");
        _before = [.. _before.AsSpan(0, (int)prefix), .. own.Span];
        return new PageValue(0, _before);
    }
}
