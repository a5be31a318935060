using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace LdlVk.Datasets.Containers.Parquet;

/// <summary>The entries of one column, one at a time and with memory for one page and one dictionary.</summary>
internal sealed class ColumnReader(SafeFileHandle file, ParquetNode node, PageBudget budget, CancellationToken cancellationToken)
{
    private const int FirstHeader = 1 << 12, MaxHeaderBytes = 16 << 20;

    private readonly long _fileBytes = RandomAccess.GetLength(file);
    private byte[] _compressed = [], _page = [], _dictionaryPage = [];
    private PageValue[] _dictionary = [];
    private int _dictionaryCount;
    private ColumnChunk _chunk;
    private long _left, _next;
    private int _pageLeft;
    private RleDecoder? _repetitions, _definitions;
    private IPageValues? _values;

    /// <summary>Whether there is no entry any more.</summary>
    public bool AtEnd { get; private set; } = true;

    /// <summary>Repetition level of this entry: 0 at the beginning of a row, and at the end.</summary>
    public int Repetition { get; private set; }

    /// <summary>Definition level of this entry.</summary>
    public int Definition { get; private set; }

    /// <summary>Its value, if <see cref="Definition"/> is the column's.</summary>
    public PageValue Value { get; private set; }

    /// <summary>Begins a row group, with its first entry.</summary>
    public void Begin(ColumnChunk chunk)
    {
        if (chunk.Type != node.Type) throw new InvalidDataException("a row group has a column of another type than the file.");
        budget.AddEntries(chunk.Values);
        (_chunk, _left, _next, _pageLeft, AtEnd) = (chunk, chunk.Values, chunk.Offset, 0, false);
        _dictionaryCount = 0;
        Advance();
    }

    /// <summary>Goes to the next entry.</summary>
    public void Advance()
    {
        (Repetition, Definition, AtEnd) = (0, 0, _left == 0);
        if (AtEnd) return;
        while (_pageLeft == 0) NextPage();
        _left--;
        if ((--_pageLeft & 0xffff) == 0) cancellationToken.ThrowIfCancellationRequested();
        Repetition = _repetitions?.Next() ?? 0;
        Definition = _definitions?.Next() ?? 0;
        if ((uint)Repetition > (uint)node.Level || (uint)Definition > (uint)node.Definition)
            throw new InvalidDataException("a page has levels that its column cannot have.");
        if (Definition == node.Definition) Value = _values!.Next();
    }

    private void NextPage()
    {
        cancellationToken.ThrowIfCancellationRequested();
        (PageHeader header, int headerBytes) = ReadHeader();
        _next += headerBytes;
        if (header.CompressedBytes > _fileBytes - _next) throw new InvalidDataException("it ends within a page.");
        budget.AddPage(headerBytes + header.CompressedBytes, header.Bytes);
        switch (header.Type)
        {
            case PageType.Dictionary:
                if (header.Encoding is not (0 or 2)) throw Unsupported($"a dictionary in encoding {header.Encoding}");
                ReadOnlyMemory<byte> dictionary = Read(header, ref _dictionaryPage);
                if (header.Values > 8L * dictionary.Length) throw new InvalidDataException("a dictionary claims more entries than it has.");
                PlainValues entries = new(node.Type, dictionary);
                budget.Grow(ref _dictionary, header.Values);
                _dictionaryCount = header.Values;
                for (int i = 0; i < header.Values; i++) _dictionary[i] = entries.Next();
                break;
            case PageType.Data or PageType.DataV2:
                if (header.Values > _left) throw new InvalidDataException("a column has more values than it says.");
                BeginPage(header, Read(header, ref _page));
                break;
        }

        _next += header.CompressedBytes;
    }

    private (PageHeader Header, int Bytes) ReadHeader()
    {
        for (int size = FirstHeader; ; size *= 16)
        {
            int there = (int)Math.Min(size, Math.Max(0, _fileBytes - _next));
            budget.Grow(ref _compressed, there);
            Fill(_compressed.AsSpan(0, there), _next);
            ThriftReader reader = new(_compressed.AsSpan(0, there));
            try
            {
                PageHeader header = PageHeader.Read(ref reader);
                return (header, reader.Position);
            }
            catch (EndOfStreamException) when (there == size && size < MaxHeaderBytes)
            {
                // Statistics make some heads long.
            }
        }
    }

    private void Fill(Span<byte> target, long offset)
    {
        for (int done = 0; done < target.Length;)
        {
            int read = RandomAccess.Read(file, target[done..], offset + done);
            if (read == 0) throw new InvalidDataException("it ends within a page.");
            done += read;
        }
    }

    /// <summary>Reads a page's bytes and decompresses them, but for the levels of a page of version 2.</summary>
    private ReadOnlyMemory<byte> Read(PageHeader header, ref byte[] page)
    {
        int plain = header.LevelBytes.Repetition + header.LevelBytes.Definition;
        if (plain < 0 || plain > header.CompressedBytes || plain > header.Bytes)
            throw new InvalidDataException("a page is shorter than its levels.");
        budget.Grow(ref page, header.Bytes);
        budget.Grow(ref _compressed, header.CompressedBytes);
        Span<byte> source = _compressed.AsSpan(0, header.CompressedBytes), target = page.AsSpan(0, header.Bytes);
        Fill(source, _next);
        source[..plain].CopyTo(target);
        if (header.IsCompressed) Decompress(_compressed.AsMemory(plain, source.Length - plain), target[plain..]);
        else PageCodec.Copy(source[plain..], target[plain..]);
        return page.AsMemory(0, header.Bytes);
    }

    private void Decompress(ReadOnlyMemory<byte> source, Span<byte> target)
    {
        // A page that has only nulls has no values to decompress.
        if (target.IsEmpty) return;
        if (PageCodec.Of(_chunk.Codec) is not { } codec)
            throw Unsupported($"pages compressed as {(_chunk.Codec == 3 ? "LZO" : $"number {_chunk.Codec}")}");
        codec.Decompress(source, target);
    }

    private void BeginPage(PageHeader header, ReadOnlyMemory<byte> bytes)
    {
        if (header.Type == PageType.DataV2)
        {
            (int repetition, int definition) = header.LevelBytes;
            _repetitions = node.Level > 0 ? new RleDecoder(bytes[..repetition], RleDecoder.Width(node.Level)) : null;
            _definitions = node.Definition > 0
                ? new RleDecoder(bytes.Slice(repetition, definition), RleDecoder.Width(node.Definition)) : null;
            bytes = bytes[(repetition + definition)..];
        }
        else
        {
            if (header.HasOldLevels && node.Definition > 0) throw Unsupported("levels packed in bits, which writers gave up long ago");
            _repetitions = Levels(node.Level, ref bytes);
            _definitions = Levels(node.Definition, ref bytes);
        }

        _pageLeft = header.Values;
        _values = header.Encoding switch
        {
            0 => new PlainValues(node.Type, bytes),
            // Where all are null, there may be nothing.
            2 or 8 => bytes.IsEmpty ? new PlainValues(node.Type, bytes)
                : new DictionaryValues(_dictionary.AsMemory(0, _dictionaryCount), new RleDecoder(bytes[1..], bytes.Span[0])),
            3 when node.Type == PhysicalType.Boolean => new RunValues(WithLength(ref bytes, 1)),
            5 when node.Type is PhysicalType.Int32 or PhysicalType.Int64 =>
                bytes.IsEmpty ? new PlainValues(node.Type, bytes) : new DeltaValues(bytes, node.Type == PhysicalType.Int32),
            6 or 7 when node.Type == PhysicalType.ByteArray =>
                bytes.IsEmpty ? new PlainValues(node.Type, bytes) : new DeltaTexts(bytes, header.Encoding == 7),
            9 when node.Type is PhysicalType.Int32 or PhysicalType.Int64 or PhysicalType.Float or PhysicalType.Double =>
                new SplitValues(node.Type, bytes),
            _ => throw Unsupported($"values in encoding {header.Encoding}"),
        };
    }

    private static RleDecoder? Levels(int largest, ref ReadOnlyMemory<byte> bytes) =>
        largest == 0 ? null : WithLength(ref bytes, RleDecoder.Width(largest));

    private static RleDecoder WithLength(ref ReadOnlyMemory<byte> bytes, int width)
    {
        int length = bytes.Length < 4 ? -1 : BinaryPrimitives.ReadInt32LittleEndian(bytes.Span);
        if (length < 0 || length > bytes.Length - 4) throw new InvalidDataException("a page is shorter than its levels.");
        RleDecoder decoder = new(bytes.Slice(4, length), width);
        bytes = bytes[(4 + length)..];
        return decoder;
    }

    private NotSupportedException Unsupported(string what) =>
        new($"column {System.Text.Encoding.UTF8.GetString(node.Name)} has {what}. Write the file again with Snappy, gzip or Zstandard "
            + $"and default settings.");
}
