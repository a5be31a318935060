namespace LdlVk.Datasets.Containers.Parquet;

/// <summary>
/// Small numbers as runs of one value or packed in bits (Encodings.md, "Run Length Encoding / Bit-Packing Hybrid"), one at a time: a few
/// bytes may stand for billions of values.
/// </summary>
internal sealed class RleDecoder
{
    private readonly ReadOnlyMemory<byte> _bytes;
    private readonly int _width;
    private int _at, _packedAt;
    private long _left, _packedBit;
    private int _value;
    private bool _isPacked;

    /// <param name="bytes">The runs.</param>
    /// <param name="width">Bits of a value, up to 32.</param>
    public RleDecoder(ReadOnlyMemory<byte> bytes, int width)
    {
        (_bytes, _width) = (bytes, width);
        if (width > 32) throw new InvalidDataException($"values of {width} bits are in a page.");
    }

    /// <summary>Bits of a number from 0 to <paramref name="largest"/>.</summary>
    public static int Width(int largest) => 32 - int.LeadingZeroCount(largest);

    /// <summary>The next value.</summary>
    public int Next()
    {
        if (_width == 0) return 0;
        while (_left == 0) BeginRun();
        _left--;
        if (!_isPacked) return _value;
        int value = Unpack();
        _packedBit += _width;
        return value;
    }

    private void BeginRun()
    {
        ReadOnlySpan<byte> bytes = _bytes.Span;
        uint head = 0;
        for (int shift = 0; ; shift += 7)
        {
            if (_at >= bytes.Length || shift > 28) throw new InvalidDataException("a page ends before its values do.");
            byte next = bytes[_at++];
            head |= (uint)(next & 127) << shift;
            if (next < 128) break;
        }

        _left = head >> 1;
        _isPacked = (head & 1) != 0;
        if (_isPacked)
        {
            (_packedAt, _packedBit) = (_at, 0);
            // Some writers cut the last group of eight short.
            _at = (int)Math.Min(bytes.Length, _at + (_left * _width));
            _left *= 8;
            return;
        }

        int size = (_width + 7) / 8;
        if (bytes.Length - _at < size) throw new InvalidDataException("a page ends before its values do.");
        _value = 0;
        for (int i = 0; i < size; i++) _value |= bytes[_at++] << (8 * i);
    }

    private int Unpack()
    {
        int from = _packedAt + (int)(_packedBit / 8), shift = (int)(_packedBit % 8), size = (shift + _width + 7) / 8;
        if (from + size > _at) throw new InvalidDataException("a page ends before its values do.");
        ulong bits = 0;
        ReadOnlySpan<byte> bytes = _bytes.Span.Slice(from, size);
        for (int i = 0; i < size; i++) bits |= (ulong)bytes[i] << (8 * i);
        return (int)((bits >> shift) & ((1UL << _width) - 1));
    }
}
