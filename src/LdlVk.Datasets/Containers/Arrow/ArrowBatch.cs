using System.Buffers.Binary;
using K4os.Compression.LZ4.Streams;

namespace LdlVk.Datasets.Containers.Arrow;

/// <summary>
/// Cuts the body of a record batch into the vectors of its columns (RecordBatch in Message.fbs). Nodes and buffers come in the order of the
/// columns, each before its parts.
/// </summary>
internal sealed class ArrowBatch
{
    /// <summary>
    /// Bytes of decompressed buffers: so many in any case, and for each byte of the body. Writers make batches of 64 thousand rows.
    /// </summary>
    private const long FreeBytes = 32 << 20, MaxPerByte = 1 << 10, MaxBytes = 1 << 30;

    private readonly ReadOnlyMemory<byte> _body;
    private readonly (long Length, long Nulls)[] _nodes;
    private readonly (long Offset, long Length)[] _buffers;
    private readonly long[] _variadic;
    private readonly int _codec;
    private readonly bool _hasUnionValidity;
    private readonly Dictionary<long, ArrowVector> _dictionaries;
    private int _node, _buffer, _view;
    private long _decompressed;

    /// <param name="batch">The metadata.</param>
    /// <param name="version">Version of the metadata: 4 is that of Arrow 1.0.</param>
    /// <param name="body">The body.</param>
    /// <param name="dictionaries">The dictionaries so far.</param>
    public ArrowBatch(FlatTable batch, int version, ReadOnlyMemory<byte> body, Dictionary<long, ArrowVector> dictionaries)
    {
        (_body, _dictionaries, _hasUnionValidity) = (body, dictionaries, version < 4);
        Rows = batch.Int64(0);
        if (Rows < 0) throw new InvalidDataException("a batch has a negative number of rows.");
        _nodes = new (long, long)[batch.Count(1, 16)];
        for (int i = 0; i < _nodes.Length; i++) _nodes[i] = (batch.Int64(1, 16, i, 0), batch.Int64(1, 16, i, 1));
        _buffers = new (long, long)[batch.Count(2, 16)];
        for (int i = 0; i < _buffers.Length; i++) _buffers[i] = (batch.Int64(2, 16, i, 0), batch.Int64(2, 16, i, 1));
        _codec = batch.Has(3) ? batch.Table(3).Byte(0) : -1;
        if (_codec > 1) throw new NotSupportedException($"its buffers are compressed in the unknown way {_codec}.");
        _variadic = new long[batch.Count(4, 8)];
        for (int i = 0; i < _variadic.Length; i++) _variadic[i] = batch.Int64(4, 8, i, 0);
    }

    /// <summary>Number of rows.</summary>
    public long Rows { get; }

    /// <summary>Reads the next column.</summary>
    /// <param name="field">The column.</param>
    /// <param name="isDictionary">Whether the batch is the dictionary of the column, and has its values.</param>
    /// <param name="isRead">Whether the column is used; if not, it is only passed over.</param>
    public ArrowVector Next(ArrowField field, bool isDictionary = false, bool isRead = true)
    {
        if (_node >= _nodes.Length) throw new InvalidDataException("a batch has fewer columns than the schema.");
        long length = _nodes[_node++].Length;
        if (length is < 0 or > int.MaxValue) throw new InvalidDataException("a column has a length that is negative or too large.");
        int rows = (int)length;
        isRead &= field.IsRead;
        if (field.DictionaryId is { } id && !isDictionary)
        {
            ReadOnlyMemory<byte> valid = Buffer(isRead), indices = Buffer(isRead);
            if (!isRead) return ArrowVector.Unread(rows);
            return _dictionaries.TryGetValue(id, out ArrowVector? values)
                ? new DictionaryVector(rows, valid, indices, field, values)
                : throw new InvalidDataException("a column has values in a dictionary that is not there.");
        }

        switch (field.Type)
        {
            case ArrowType.Null:
                return new NullVector(rows);
            case ArrowType.Union:
                if (_hasUnionValidity) Buffer(false);
                Buffer(false);
                if (field.HasUnionOffsets) Buffer(false);
                break;
            case ArrowType.RunEndEncoded:
                break;
            default:
                ReadOnlyMemory<byte> valid = Buffer(isRead);
                return OfType(field, rows, valid, isRead);
        }

        foreach (ArrowField child in field.Children) Next(child, isRead: false);
        return ArrowVector.Unread(rows);
    }

    private ArrowVector OfType(ArrowField field, int rows, ReadOnlyMemory<byte> valid, bool isRead)
    {
        ReadOnlyMemory<byte> first = field.Type is ArrowType.Struct or ArrowType.FixedSizeList ? default : Buffer(isRead), second;
        bool isLarge = field.Type is ArrowType.LargeList or ArrowType.LargeListView or ArrowType.LargeUtf8 or ArrowType.LargeBinary;
        switch (field.Type)
        {
            case ArrowType.Struct:
                ArrowVector[] parts = [.. field.Children.Select(child => Next(child, isRead: isRead))];
                return isRead ? new StructVector(rows, valid, field.Children, parts) : ArrowVector.Unread(rows);
            case ArrowType.FixedSizeList:
                ArrowVector fixedItems = Next(field.Children[0], isRead: isRead);
                return isRead ? new FixedListVector(rows, valid, field.ListSize, fixedItems) : ArrowVector.Unread(rows);
            case ArrowType.List or ArrowType.LargeList or ArrowType.Map:
                ArrowVector items = Next(field.Children[0], isRead: isRead);
                return isRead ? new ListVector(rows, valid, first, isLarge, items) : ArrowVector.Unread(rows);
            case ArrowType.ListView or ArrowType.LargeListView:
                second = Buffer(isRead);
                ArrowVector viewed = Next(field.Children[0], isRead: isRead);
                return isRead ? new ListVector(rows, valid, first, isLarge, viewed, second) : ArrowVector.Unread(rows);
            case ArrowType.Utf8 or ArrowType.Binary or ArrowType.LargeUtf8 or ArrowType.LargeBinary:
                second = Buffer(isRead);
                return isRead ? new TextVector(rows, valid, first, isLarge, second, field) : ArrowVector.Unread(rows);
            case ArrowType.Utf8View or ArrowType.BinaryView:
                if (_view >= _variadic.Length || _variadic[_view] < 0 || _variadic[_view] > _buffers.Length - _buffer)
                    throw new InvalidDataException("a column has too few buffers.");
                var texts = new ReadOnlyMemory<byte>[_variadic[_view++]];
                for (int i = 0; i < texts.Length; i++) texts[i] = Buffer(isRead);
                return isRead ? new ViewVector(rows, valid, first, texts, field) : ArrowVector.Unread(rows);
            case ArrowType.Bool:
                return isRead ? new BoolVector(rows, valid, first) : ArrowVector.Unread(rows);
            case ArrowType.Int or ArrowType.FloatingPoint or ArrowType.Date or ArrowType.Time or ArrowType.Timestamp or ArrowType.Duration:
                return isRead ? new NumberVector(rows, valid, first, field) : ArrowVector.Unread(rows);
            default:
                return ArrowVector.Unread(rows);
        }
    }

    private ReadOnlyMemory<byte> Buffer(bool isRead)
    {
        if (_buffer >= _buffers.Length) throw new InvalidDataException("a batch has fewer buffers than its columns.");
        (long offset, long length) = _buffers[_buffer++];
        if (offset < 0 || length < 0 || offset > _body.Length || length > _body.Length - offset)
            throw new InvalidDataException("a buffer is outside of its batch.");
        if (!isRead || length == 0) return default;
        ReadOnlyMemory<byte> buffer = _body.Slice((int)offset, (int)length);
        return _codec < 0 ? buffer : Decompress(buffer);
    }

    /// <summary>Decompresses a buffer, which begins with its length; -1 says that it is not compressed.</summary>
    private ReadOnlyMemory<byte> Decompress(ReadOnlyMemory<byte> buffer)
    {
        if (buffer.Length < 8) throw new InvalidDataException("a compressed buffer is too short.");
        long length = BinaryPrimitives.ReadInt64LittleEndian(buffer.Span);
        buffer = buffer[8..];
        if (length == -1) return buffer;
        if (length < 0) throw new InvalidDataException("a compressed buffer has a negative length.");
        _decompressed += length;
        if (length > int.MaxValue || _decompressed > Math.Min(MaxBytes, FreeBytes + (MaxPerByte * _body.Length)))
            throw new NotSupportedException("a batch claims too much compressed data for its size. Write it with smaller batches.");
        byte[] target = GC.AllocateUninitializedArray<byte>((int)length);
        try
        {
            if (_codec == 1)
            {
                using ZstdSharp.Decompressor decompressor = new();
                if (decompressor.TryUnwrap(buffer.Span, target, out int written) && written == target.Length) return target;
            }
            else
            {
                using MemoryStream source = new(buffer.ToArray(), writable: false);
                using LZ4DecoderStream lz4 = LZ4Stream.Decode(source);
                lz4.ReadExactly(target);
                return target;
            }
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            throw new InvalidDataException("a buffer cannot be decompressed.", e);
        }

        throw new InvalidDataException("a buffer cannot be decompressed.");
    }
}
