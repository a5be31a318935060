using System.Buffers.Binary;
using LdlVk.Datasets.Containers.Json;
using LdlVk.Datasets.Items;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Datasets.Containers.Arrow;

/// <summary>
/// Arrow's IPC formats (arrow.apache.org/docs/format/Columnar.html) as lines of JSON, one for each row: the stream, which the library
/// <c>datasets</c> saves, and the file, also called Feather. Columns are fields, structs objects, lists arrays. Memory is one batch.
/// Columns of decimals, intervals, unions, run ends and bytes of a fixed length have no form in JSON and are left out; other bytes are
/// text if they are UTF-8, else <see cref="JsonFields.BytesMark"/>. A text of the extension type arrow.json is written as the
/// value that it holds.
/// </summary>
/// <remarks>
/// The library Apache.Arrow 23.0.0 writes the files of the tests, but trusts those that it reads. A file of 800 kB, whose only column is
/// nested 20,000 deep, overflows its stack, which ends the process. A file of 456 bytes that claims metadata of 2 GB makes it allocate
/// 2.1 GB.
/// </remarks>
/// <param name="input">The input.</param>
/// <param name="path">The name of the input, for messages.</param>
internal sealed class ArrowFile(InputBuffer input, string path)
{
    private const int MaxMetadataBytes = 64 << 20, MaxBodyBytes = 1 << 30;

    private const int SchemaMessage = 1, DictionaryMessage = 2, BatchMessage = 3;

    private readonly Dictionary<long, ArrowVector> _dictionaries = [];
    private readonly JsonText _json = new();
    private readonly ExpansionLimit _limit = new(() => input.Used + input.Length);
    private ArrowField[]? _fields;
    private ArrowVector[] _columns = [];
    private bool _isFile;
    private long _batches, _row, _rows;
    private int _pending;

    private static ReadOnlySpan<byte> FileMagic => "ARROW1"u8;

    /// <summary>Whether an input begins as these do.</summary>
    public static bool Is(ReadOnlySpan<byte> beginning) =>
        beginning.StartsWith(FileMagic)
        || (beginning.Length >= 8
            && BinaryPrimitives.ReadInt32LittleEndian(beginning) == -1
            && BinaryPrimitives.ReadInt32LittleEndian(beginning[4..]) is > 0 and <= MaxMetadataBytes);

    /// <summary>The rows. A line's bytes are overwritten by the next one's.</summary>
    /// <param name="number">The number of the first.</param>
    /// <exception cref="IOException">The input is damaged, or has what is not read.</exception>
    public IEnumerable<RawLine> Lines(long number = 0)
    {
        while (Guard(NextRow))
        {
            yield return _json.IsTooLong ? RawLine.OfTooLong(number) : new RawLine(number, _json.Bytes);
            number++;
        }
    }

    private T Guard<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is InvalidDataException or OverflowException)
        {
            throw new IOException($"{path} is damaged, or not all of it is there: it cannot be read as Arrow, {e.Message}", e);
        }
        catch (NotSupportedException e)
        {
            throw new IOException($"{path} is Arrow that is not read here: {e.Message}", e);
        }
    }

    private bool NextRow()
    {
        while (_row == _rows)
            if (!NextBatch()) return false;
        if ((_row & 0xfff) == 0) input.CancellationToken.ThrowIfCancellationRequested();
        _json.Clear();
        StructVector.WriteFields(_json, _fields!, _columns, _row);
        _limit.Add(_json.Length);
        _row++;
        return true;
    }

    /// <summary>Reads messages up to the next batch; false at the end.</summary>
    private bool NextBatch()
    {
        if (_fields is null && input.Ensure(8) && input.Held.StartsWith(FileMagic))
        {
            _isFile = true;
            input.Skip(8);
        }
        else if (_pending > 0)
        {
            input.Skip(_pending);
        }

        _pending = 0;
        (int head, int length) = Head();
        if (length == 0)
        {
            input.Skip(head);
            CheckEnd();
            return false;
        }

        if (!input.Ensure(head + length)) throw Missing();
        FlatTable message = FlatTable.Root(input.Held.Slice(head, length));
        int version = message.Int16(0, 0), kind = message.Byte(1);
        long body = message.Int64(3);
        if (body < 0) throw new InvalidDataException("a message has a negative length.");
        if (body > MaxBodyBytes)
            throw new NotSupportedException($"a batch has {Readable.Bytes(body)}; at most {Readable.Bytes(MaxBodyBytes)} are read.");
        if (!input.Ensure(head + length + (int)body)) throw Missing();
        message = FlatTable.Root(input.Held.Slice(head, length));
        ReadOnlyMemory<byte> bytes = input.Memory(head + length, (int)body);
        switch (kind)
        {
            case SchemaMessage:
                if (_fields is not null) throw new InvalidDataException("it has two schemas.");
                _fields = ArrowField.Read(message.Table(2));
                if (_fields.Any(field => !field.IsRead && field.Name.AsSpan().SequenceEqual("\"id\""u8))) throw JsonText.IdIsLeftOut();
                if (!_fields.Any(field => field.IsRead)) throw new NotSupportedException("it has no columns that have a form in JSON.");
                break;
            case DictionaryMessage:
                ReadDictionary(message.Table(2), version, bytes);
                break;
            case BatchMessage:
                ReadBatch(new ArrowBatch(message.Table(2), version, bytes, _dictionaries));
                _pending = head + length + (int)body; // The columns are in it until the next batch.
                return true;
            default:
                throw new NotSupportedException($"it has messages of the unknown kind {kind}.");
        }

        input.Skip(head + length + (int)body);
        return true;
    }

    /// <summary>Reads the beginning of a message.</summary>
    /// <returns>Its length, and that of the metadata; 0 at the end.</returns>
    private (int Head, int Metadata) Head()
    {
        if (!input.Ensure(4)) throw Missing();
        int length = BinaryPrimitives.ReadInt32LittleEndian(input.Held), head = 4;
        if (length == -1)
        {
            if (!input.Ensure(8)) throw Missing();
            (length, head) = (BinaryPrimitives.ReadInt32LittleEndian(input.Held[4..]), 8);
        }

        if (length is < 0 or > MaxMetadataBytes) throw new InvalidDataException("a message has a length that is negative or too large.");
        return (head, length);
    }

    private void ReadBatch(ArrowBatch batch)
    {
        if (_fields is null) throw new InvalidDataException("it does not say what its columns are.");
        _columns = [.. _fields.Select(field => batch.Next(field))];
        if (_columns.Any(column => column.Length != batch.Rows))
            throw new InvalidDataException("columns of a batch have different lengths.");
        if (batch.Rows > _limit.MaxRows)
            throw new InvalidDataException($"a batch claims {Readable.Count(batch.Rows)} rows, which its bytes cannot hold.");
        (_row, _rows) = (0, batch.Rows);
        _batches++;
    }

    private void ReadDictionary(FlatTable dictionary, int version, ReadOnlyMemory<byte> body)
    {
        long id = dictionary.Int64(0);
        if (_fields is null || ArrowField.WithDictionary(_fields).FirstOrDefault(field => field.DictionaryId == id) is not { } field)
            throw new InvalidDataException("it has a dictionary of no column.");
        if (dictionary.Byte(2) != 0) throw new NotSupportedException("it adds to a dictionary. Write it again without such deltas.");
        // The bytes of the input are overwritten by the next message.
        ArrowBatch batch = new(dictionary.Table(1), version, body.ToArray(), _dictionaries);
        _dictionaries[id] = batch.Next(field, isDictionary: true);
    }

    /// <summary>
    /// Checks that nothing is missing: a file ends with a footer that counts the batches, and a stream with the mark of its end.
    /// </summary>
    private void CheckEnd()
    {
        if (!_isFile)
        {
            if (input.Ensure(1)) throw new InvalidDataException("something follows its end.");
            return;
        }

        while (input.Fill())
        {
            if (input.Length > MaxMetadataBytes) throw new InvalidDataException("its footer is too long.");
        }

        ReadOnlySpan<byte> rest = input.Held;
        if (rest.Length < 10 || !rest.EndsWith(FileMagic)) throw new InvalidDataException("its end is missing.");
        int length = BinaryPrimitives.ReadInt32LittleEndian(rest[^10..]);
        if (length <= 0 || length != rest.Length - 10) throw new InvalidDataException("its footer has another length than it says.");
        int batches = FlatTable.Root(rest[..length]).Count(3, 24);
        if (batches != _batches)
            throw new InvalidDataException($"its footer counts {Readable.Count(batches)} batches, and it has {Readable.Count(_batches)}.");
        input.Skip(input.Length);
    }

    private static InvalidDataException Missing() => new("its end is missing.");
}
