using System.Buffers.Binary;
using LdlVk.Datasets.Containers.Json;
using LdlVk.Datasets.Items;
using LdlVk.Runtime.Formatting;
using Microsoft.Win32.SafeHandles;

namespace LdlVk.Datasets.Containers.Parquet;

/// <summary>
/// A Parquet file (github.com/apache/parquet-format) as lines of JSON, one for each row: columns are fields, groups objects, lists arrays.
/// Memory is a page of each column. A text of logical type JSON is written as the value that it holds, or as a text if it is not valid
/// JSON. Left out are columns of types that JSON has no form for: decimals, 96-bit times and bytes of a fixed length; other bytes are
/// text if they are UTF-8, else <see cref="JsonFields.BytesMark"/>.
/// </summary>
/// <remarks>
/// Two libraries were measured on the files of the tests, on hostile files, and on a file with one row group of 1 GB. Neither replaces
/// this class:
/// <list type="bullet">
/// <item>ParquetSharp 25.0.1.2 (Arrow C++) reads all sound files right, columns of type JSON among them, and works with NativeAOT. With a
/// buffered stream and without pre-buffering it reads the 1 GB in 139 MB and 1.1 s; this class takes 73 MB and 0.7 s. Hostile files
/// take memory without bound: the file of 131 bytes in the tests, whose page claims 2³¹ - 1 lengths, takes 5.5 GB after 30 s and keeps
/// growing, in one native call that cannot be canceled; this class reads it in 33 MB and 0.1 s. A file of 465 kB, with eight columns of
/// one text of 1.9 GB, takes more than 9 GB; this class refuses it. No option limits a page or the pool. The native library adds 16 MB
/// (Windows) to 27 MB (Linux x64).</item>
/// <item>Parquet.Net 6.1.0 fails on arrow-lz4-hadoop.parquet (LZ4 of Hadoop) and hyparquet.parquet (booleans as runs). It drops nulls from
/// lists of texts and reads a null list in a list as an empty one: 119 wrong values in each duckdb-*.parquet. A column of type JSON comes
/// as bytes. The least it reads is a column of a row group: 2.4 GB for the 1 GB. Of 3,220 damaged files, 155 end in errors such as
/// NullReferenceException; a footer of 100 kB of nested lists takes more than 40 s. Published with NativeAOT, DeserializeUntypedAsync
/// throws FieldAccessException.</item>
/// </list>
/// Libraries decompress the pages (<see cref="PageCodec"/>).
/// </remarks>
internal sealed class ParquetFile : IDisposable
{
    private const int MaxFooterBytes = 64 << 20;

    private static ReadOnlySpan<byte> Magic => "PAR1"u8;

    private readonly string _path;
    private readonly SafeFileHandle _file;
    private readonly ParquetFooter _footer;
    private readonly ColumnReader?[] _columns;
    private readonly List<ColumnChunk> _chunks = [];
    private readonly JsonText _json = new();
    private readonly ExpansionLimit _limit;
    private long _rowsLeft, _rows;

    private ParquetFile(string path, SafeFileHandle file, bool isResults, CancellationToken cancellationToken)
    {
        (_path, _file) = (path, file);
        long bytes = RandomAccess.GetLength(file);
        PageBudget budget = new(bytes);
        _limit = new ExpansionLimit(() => bytes, isResults ? ExpansionLimit.MaxPerResultByte : ExpansionLimit.MaxPerByte);
        _footer = new ParquetFooter(ReadFooter(file));
        _columns = [.. _footer.Columns.Select(node => node.IsRead ? new ColumnReader(file, node, budget, cancellationToken) : null)];
        if (_footer.Root.Children.Count == 0) throw new NotSupportedException("it has no columns that have a form in JSON.");
    }

    /// <summary>Share of the rows that have been read, 0 to 1.</summary>
    public double Share => _footer.Rows <= 0 ? 1 : Math.Min(1, (double)_rows / _footer.Rows);

    /// <summary>Whether a file begins as these do.</summary>
    public static bool Is(ReadOnlySpan<byte> beginning) => beginning.StartsWith(Magic);

    /// <summary>Opens a file and reads what its columns are.</summary>
    /// <param name="path">The file.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <param name="isResults">Whether it has results, which its bytes bound less tightly.</param>
    /// <exception cref="IOException">It is damaged, or has what is not read.</exception>
    public static ParquetFile Open(string path, CancellationToken cancellationToken, bool isResults = false)
    {
        SafeFileHandle file = File.OpenHandle(path);
        try
        {
            return Guard(path, () => new ParquetFile(path, file, isResults, cancellationToken));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The rows. A line's bytes are overwritten by the next one's.</summary>
    /// <exception cref="IOException">The file is damaged, or has what is not read.</exception>
    public IEnumerable<RawLine> Lines()
    {
        while (Guard(_path, NextRow))
            yield return _json.IsTooLong ? RawLine.OfTooLong(_rows++) : new RawLine(_rows++, _json.Bytes);
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private static T Guard<T>(string path, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
        {
            throw new IOException($"{path} is damaged, or not all of it is there: it cannot be read as Parquet, {e.Message}", e);
        }
        catch (NotSupportedException e)
        {
            throw new IOException($"{path} is Parquet that is not read here: {e.Message}", e);
        }
    }

    /// <summary>The file's end is its description, the length of that in 4 bytes, and the magic.</summary>
    private static byte[] ReadFooter(SafeFileHandle file)
    {
        long length = RandomAccess.GetLength(file);
        byte[] end = new byte[8];
        if (length < 12 || RandomAccess.Read(file, end, length - 8) < 8 || !end.AsSpan(4).SequenceEqual(Magic))
            throw new InvalidDataException(end.AsSpan(4).SequenceEqual("PARE"u8) ? "it is encrypted." : "its end is missing.");
        uint bytes = BinaryPrimitives.ReadUInt32LittleEndian(end);
        if (bytes > length - 12) throw new InvalidDataException("its description is longer than the file.");
        if (bytes > MaxFooterBytes)
            throw new NotSupportedException($"its description has {bytes:N0} bytes; at most {MaxFooterBytes:N0} are read.");
        byte[] footer = new byte[bytes];
        for (int done = 0; done < footer.Length;)
        {
            int read = RandomAccess.Read(file, footer.AsSpan(done), length - 8 - bytes + done);
            if (read == 0) throw new InvalidDataException("it became shorter.");
            done += read;
        }

        return footer;
    }

    private bool NextRow()
    {
        while (_rowsLeft == 0)
        {
            if (_columns.Any(column => column is { AtEnd: false }))
                throw new InvalidDataException("a column has more rows than its row group.");
            if (!_footer.NextGroup(_chunks, out _rowsLeft)) return false;
            if (_rowsLeft > _limit.MaxRows)
                throw new InvalidDataException($"a row group claims {Readable.Count(_rowsLeft)} rows, which its bytes cannot hold.");
            for (int i = 0; i < _columns.Length; i++) _columns[i]?.Begin(_chunks[i]);
        }

        _rowsLeft--;
        _json.Clear();
        foreach (ColumnReader? column in _columns)
            if (column is { AtEnd: true } or { Repetition: > 0 })
                throw new InvalidDataException("a column has fewer rows than its row group.");
        WriteGroup(_footer.Root);
        _limit.Add(_json.Length);
        return true;
    }

    /// <summary>Writes a node that its parent has: itself, null, or a list of it.</summary>
    private void Write(ParquetNode node)
    {
        ColumnReader column = _columns[node.Column]!;
        bool isThere = column.Definition >= node.Definition;
        if (node.Repetition == Repetition.Repeated)
        {
            _json.Raw("["u8);
            if (isThere) WriteItems(node, column);
            else Pass(node, node);

            _json.Raw("]"u8);
        }
        else if (isThere)
        {
            WriteValue(node);
        }
        else
        {
            _json.Raw("null"u8);
            Pass(node, node);
        }
    }

    private void WriteItems(ParquetNode node, ColumnReader first)
    {
        while (true)
        {
            if (node.IsListWrapper) Write(node.Children[0]);
            else WriteValue(node);
            CheckLevels(node, node.Level, first.Repetition);
            if (first.Repetition < node.Level) return;
            _json.Raw(","u8);
        }
    }

    private void WriteValue(ParquetNode node)
    {
        if (node.Type != PhysicalType.Group) WriteLeaf(node);
        else if (node.IsList) Write(node.Children[0]);
        else WriteGroup(node);
    }

    /// <summary>The columns below a list go on with it together.</summary>
    private void CheckLevels(ParquetNode node, int level, int repetition)
    {
        foreach (ParquetNode child in node.Children) CheckLevels(child, level, repetition);
        if (node.Type == PhysicalType.Group) return;
        int own = _columns[node.Column]!.Repetition;
        if (own > level || own != repetition) throw new InvalidDataException("columns of it do not agree on how long a list is.");
    }

    private void WriteGroup(ParquetNode node)
    {
        _json.Raw("{"u8);
        for (int i = 0; i < node.Children.Count; i++)
        {
            if (i > 0) _json.Raw(","u8);
            _json.Raw(node.Children[i].Name);
            _json.Raw(":"u8);
            Write(node.Children[i]);
        }

        _json.Raw("}"u8);
    }

    private void WriteLeaf(ParquetNode node)
    {
        ColumnReader column = _columns[node.Column]!;
        if (column.Definition != node.Definition) throw new InvalidDataException("columns of it do not agree on what is null.");
        PageValue value = column.Value;
        switch (node.Type)
        {
            case PhysicalType.Boolean:
                _json.Raw(value.Number != 0 ? "true"u8 : "false"u8);
                break;
            case PhysicalType.Int32 when node.IsUnsigned:
                _json.Number((uint)value.Number);
                break;
            case PhysicalType.Int64 when node.IsUnsigned:
                _json.Number((ulong)value.Number);
                break;
            case PhysicalType.Int32 or PhysicalType.Int64:
                _json.Number(value.Number);
                break;
            case PhysicalType.Float or PhysicalType.Double:
                _json.Number(BitConverter.Int64BitsToDouble(value.Number), node.Type == PhysicalType.Float);
                break;
            default:
                _json.Text(value.Bytes.Span, node.IsJson, node.IsText);
                break;
        }

        column.Advance();
    }

    /// <summary>Goes on in all columns below a node that is not there.</summary>
    private void Pass(ParquetNode node, ParquetNode missing)
    {
        foreach (ParquetNode child in node.Children) Pass(child, missing);
        if (node.Type == PhysicalType.Group) return;
        ColumnReader column = _columns[node.Column]!;
        if (column.Definition >= missing.Definition) throw new InvalidDataException("columns of it do not agree on what is null.");
        column.Advance();
    }
}
