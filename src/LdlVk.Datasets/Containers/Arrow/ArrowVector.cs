using LdlVk.Datasets.Containers.Json;
using LdlVk.Datasets.Items;

namespace LdlVk.Datasets.Containers.Arrow;

/// <summary>The values of a column in a batch. Nothing is trusted: what is read is checked on the way.</summary>
/// <param name="length">Number of values.</param>
/// <param name="valid">A bit for each value that is not null; empty if none is null.</param>
internal abstract class ArrowVector(int length, ReadOnlyMemory<byte> valid)
{
    /// <summary>Number of values.</summary>
    public int Length => length;

    /// <summary>Creates a vector of a column that is left out.</summary>
    public static ArrowVector Unread(int length) => new NullVector(length);

    /// <summary>Appends a value.</summary>
    public void Write(JsonText json, long index)
    {
        if ((ulong)index >= (ulong)length) throw Outside();
        if (!valid.IsEmpty && !Bit(valid, (int)index)) json.Raw("null"u8);
        else WriteValue(json, (int)index);
    }

    /// <summary>Appends a value that is not null.</summary>
    protected abstract void WriteValue(JsonText json, int index);

    /// <summary>Returns a bit, the least significant of a byte first.</summary>
    protected static bool Bit(ReadOnlyMemory<byte> bits, int index) =>
        index / 8 < bits.Length ? ((bits.Span[index / 8] >> (index % 8)) & 1) != 0 : throw Outside();

    /// <summary>Returns a whole number of a buffer.</summary>
    protected static long Number(ReadOnlyMemory<byte> buffer, long index, int bits, bool isSigned)
    {
        int bytes = bits / 8;
        if (index < 0 || index >= buffer.Length / bytes) throw Outside();
        ReadOnlySpan<byte> number = buffer.Span.Slice((int)index * bytes, bytes);
        ulong value = 0;
        for (int i = 0; i < bytes; i++) value |= (ulong)number[i] << (8 * i);
        return isSigned ? (long)(value << (64 - bits)) >> (64 - bits) : (long)value;
    }

    /// <summary>Returns a part of a buffer.</summary>
    protected static ReadOnlySpan<byte> Slice(ReadOnlyMemory<byte> buffer, long start, long length) =>
        start >= 0 && length >= 0 && start <= buffer.Length && length <= buffer.Length - start
            ? buffer.Span.Slice((int)start, (int)length)
            : throw Outside();

    /// <summary>Appends a list of values. What would make the line too long is not looked at.</summary>
    protected static void WriteItems(JsonText json, ArrowVector items, long start, long count)
    {
        if (start < 0 || count < 0) throw Outside();
        json.Raw("["u8);
        for (long i = 0; i < count && !json.IsTooLong; i++)
        {
            if (i > 0) json.Raw(","u8);
            items.Write(json, start + i);
        }

        json.Raw("]"u8);
    }

    private static InvalidDataException Outside() => new("a column refers to values that are not there.");
}

/// <summary>Nulls, which have no bytes.</summary>
internal sealed class NullVector(int length) : ArrowVector(length, default)
{
    protected override void WriteValue(JsonText json, int index) => json.Raw("null"u8);
}

/// <summary>Truth values, a bit each.</summary>
internal sealed class BoolVector(int length, ReadOnlyMemory<byte> valid, ReadOnlyMemory<byte> bits) : ArrowVector(length, valid)
{
    protected override void WriteValue(JsonText json, int index) => json.Raw(Bit(bits, index) ? "true"u8 : "false"u8);
}

/// <summary>Numbers. Dates and times are the numbers that stand for them.</summary>
internal sealed class NumberVector(int length, ReadOnlyMemory<byte> valid, ReadOnlyMemory<byte> numbers, ArrowField field)
    : ArrowVector(length, valid)
{
    protected override void WriteValue(JsonText json, int index)
    {
        long number = Number(numbers, index, field.Bits, field.IsSigned);
        if (field.Type != ArrowType.FloatingPoint)
        {
            if (field.IsSigned) json.Number(number);
            else json.Number((ulong)number);
            return;
        }

        double value = field.Bits switch
        {
            16 => (double)BitConverter.Int16BitsToHalf((short)number),
            32 => BitConverter.Int32BitsToSingle((int)number),
            _ => BitConverter.Int64BitsToDouble(number),
        };
        json.Number(value, isSingle: field.Bits <= 32);
    }
}

/// <summary>Texts and bytes, from one offset to the next. Bytes that are not UTF-8 are <see cref="JsonFields.BytesMark"/>.</summary>
internal sealed class TextVector(
    int length, ReadOnlyMemory<byte> valid, ReadOnlyMemory<byte> offsets, bool isLarge, ReadOnlyMemory<byte> texts, ArrowField field)
    : ArrowVector(length, valid)
{
    protected override void WriteValue(JsonText json, int index)
    {
        int bits = isLarge ? 64 : 32;
        long start = Number(offsets, index, bits, true), end = Number(offsets, index + 1L, bits, true);
        json.Text(Slice(texts, start, end - start), field.IsJson, field.Type is ArrowType.Utf8 or ArrowType.LargeUtf8);
    }
}

/// <summary>Texts and bytes of which short ones lie in place, and others in one of several buffers.</summary>
internal sealed class ViewVector(
    int length, ReadOnlyMemory<byte> valid, ReadOnlyMemory<byte> views, ReadOnlyMemory<byte>[] texts, ArrowField field)
    : ArrowVector(length, valid)
{
    private const int ViewBytes = 16, MaxInPlace = 12;

    protected override void WriteValue(JsonText json, int index)
    {
        long count = Number(views, 4L * index, 32, true);
        if (count <= MaxInPlace)
        {
            Write(json, Slice(views, ((long)index * ViewBytes) + 4, count));
            return;
        }

        long buffer = Number(views, (4L * index) + 2, 32, true), start = Number(views, (4L * index) + 3, 32, true);
        Write(json, Slice(buffer >= 0 && buffer < texts.Length ? texts[buffer] : default, start, count));
    }

    private void Write(JsonText json, ReadOnlySpan<byte> text) => json.Text(text, field.IsJson, field.Type == ArrowType.Utf8View);
}

/// <summary>Lists, from one offset to the next, or from an offset on if there are sizes. Maps are lists of key and value.</summary>
internal sealed class ListVector(
    int length, ReadOnlyMemory<byte> valid, ReadOnlyMemory<byte> offsets, bool isLarge, ArrowVector items,
    ReadOnlyMemory<byte>? sizes = null) : ArrowVector(length, valid)
{
    protected override void WriteValue(JsonText json, int index)
    {
        int bits = isLarge ? 64 : 32;
        long start = Number(offsets, index, bits, true);
        long count = sizes is { } given ? Number(given, index, bits, true) : Number(offsets, index + 1L, bits, true) - start;
        WriteItems(json, items, start, count);
    }
}

/// <summary>Lists of one size.</summary>
internal sealed class FixedListVector(int length, ReadOnlyMemory<byte> valid, int size, ArrowVector items) : ArrowVector(length, valid)
{
    protected override void WriteValue(JsonText json, int index) => WriteItems(json, items, (long)index * size, size);
}

/// <summary>Objects.</summary>
internal sealed class StructVector(int length, ReadOnlyMemory<byte> valid, IReadOnlyList<ArrowField> fields, ArrowVector[] parts)
    : ArrowVector(length, valid)
{
    protected override void WriteValue(JsonText json, int index) => WriteFields(json, fields, parts, index);

    /// <summary>Appends an object.</summary>
    public static void WriteFields(JsonText json, IReadOnlyList<ArrowField> fields, ArrowVector[] parts, long index)
    {
        json.Raw("{"u8);
        bool isFirst = true;
        for (int i = 0; i < parts.Length && !json.IsTooLong; i++)
        {
            if (!fields[i].IsRead) continue;
            if (!isFirst) json.Raw(","u8);
            isFirst = false;
            json.Raw(fields[i].Name);
            json.Raw(":"u8);
            parts[i].Write(json, index);
        }

        json.Raw("}"u8);
    }
}

/// <summary>Values as indices into a dictionary.</summary>
internal sealed class DictionaryVector(
    int length, ReadOnlyMemory<byte> valid, ReadOnlyMemory<byte> indices, ArrowField field, ArrowVector values) : ArrowVector(length, valid)
{
    protected override void WriteValue(JsonText json, int index) =>
        values.Write(json, Number(indices, index, field.IndexBits, field.IsIndexSigned));
}
