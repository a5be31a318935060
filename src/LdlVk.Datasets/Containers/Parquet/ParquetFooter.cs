using System.Text;
using LdlVk.Datasets.Containers.Json;

namespace LdlVk.Datasets.Containers.Parquet;

/// <summary>Where a column's pages of a row group lie.</summary>
/// <param name="Type">How its values are stored.</param>
/// <param name="Codec">How its pages are compressed.</param>
/// <param name="Values">Entries, nulls included.</param>
/// <param name="Offset">Of its first page in the file.</param>
internal readonly record struct ColumnChunk(PhysicalType Type, int Codec, long Values, long Offset);

/// <summary>
/// The end of a Parquet file, which describes it (FileMetaData in parquet.thrift): the columns, and row groups one after another.
/// </summary>
internal sealed class ParquetFooter
{
    /// <summary>Bounds far beyond any data set.</summary>
    private const int MaxNodes = 10_000, MaxDepth = 32;

    private const int Utf8 = 0, ListType = 3, EnumType = 4, DecimalType = 5, UnsignedFirst = 11, UnsignedLast = 14, JsonType = 19;

    private readonly byte[] _bytes;
    private readonly List<ParquetNode> _columns = [];
    private int _groupsLeft, _at;

    /// <summary>Reads the columns.</summary>
    /// <param name="bytes">FileMetaData.</param>
    public ParquetFooter(byte[] bytes)
    {
        _bytes = bytes;
        ThriftReader reader = new(bytes);
        List<Element>? elements = null;
        for (int field = 0; reader.Next(ref field, out ThriftType type);)
        {
            switch (field)
            {
                case 2:
                    elements = Elements(ref reader, type);
                    break;
                case 3:
                    Rows = reader.Integer(type);
                    break;
                case 4:
                    int at = reader.Position;
                    _groupsLeft = reader.StructList(type);
                    _at = reader.Position;
                    reader.Position = at;
                    reader.Skip(type);
                    break;
                case 8:
                    throw new NotSupportedException("it is encrypted.");
                default:
                    reader.Skip(type);
                    break;
            }
        }

        if (elements is not [{ Type: PhysicalType.Group }, ..]) throw new InvalidDataException("it does not say what its columns are.");
        int next = 0;
        Root = Node(elements, ref next, null);
        if (next != elements.Count) throw new InvalidDataException("its columns are not a tree.");
    }

    /// <summary>Rows of all row groups, as it says.</summary>
    public long Rows { get; }

    /// <summary>The group of all columns.</summary>
    public ParquetNode Root { get; }

    /// <summary>All columns, those that are not read too.</summary>
    public IReadOnlyList<ParquetNode> Columns => _columns;

    /// <summary>Reads the next row group.</summary>
    /// <param name="chunks">Filled with its columns.</param>
    /// <param name="rows">Number of its rows.</param>
    /// <returns>Whether there is one.</returns>
    public bool NextGroup(List<ColumnChunk> chunks, out long rows)
    {
        (rows, bool known) = (0, false);
        chunks.Clear();
        if (_groupsLeft == 0) return false;
        _groupsLeft--;
        ThriftReader reader = new(_bytes) { Position = _at };
        for (int field = 0; reader.Next(ref field, out ThriftType type);)
        {
            switch (field)
            {
                case 1:
                    int count = reader.StructList(type);
                    if (count != _columns.Count) throw new InvalidDataException($"a row group has {count} columns, not {_columns.Count}.");
                    for (int i = 0; i < count; i++) chunks.Add(Chunk(ref reader));
                    break;
                case 3:
                    (rows, known) = (reader.Integer(type), true);
                    break;
                default:
                    reader.Skip(type);
                    break;
            }
        }

        _at = reader.Position;
        if (!known || rows < 0 || chunks.Count != _columns.Count) throw new InvalidDataException("a row group does not say what it holds.");
        return true;
    }

    private static ColumnChunk Chunk(ref ThriftReader reader)
    {
        ColumnChunk? chunk = null;
        for (int field = 0; reader.Next(ref field, out ThriftType type);)
        {
            switch (field)
            {
                case 1:
                    throw new NotSupportedException("columns of it are in another file.");
                case 3:
                    ThriftReader.Struct(type);
                    chunk = MetaData(ref reader);
                    break;
                default:
                    reader.Skip(type);
                    break;
            }
        }

        return chunk ?? throw new InvalidDataException("a column does not say where it is.");
    }

    private static ColumnChunk MetaData(ref ThriftReader reader)
    {
        (long stored, long codec, long values, long data, long dictionary) = (-1, -1, -1, -1, 0);
        for (int field = 0; reader.Next(ref field, out ThriftType type);)
        {
            switch (field)
            {
                case 1: stored = reader.Integer(type); break;
                case 4: codec = reader.Integer(type); break;
                case 5: values = reader.Integer(type); break;
                case 9: data = reader.Integer(type); break;
                case 11: dictionary = reader.Integer(type); break;
                default: reader.Skip(type); break;
            }
        }

        // Some writers give the offset of a dictionary that is not there as 0.
        long offset = dictionary > 0 ? Math.Min(dictionary, data) : data;
        if (values < 0 || offset < 0 || stored is < 0 or > (int)PhysicalType.FixedLengthByteArray || codec is < 0 or > 255)
            throw new InvalidDataException("a column does not say where it is.");
        return new ColumnChunk((PhysicalType)stored, (int)codec, values, offset);
    }

    /// <summary>A node as it is written: the tree in the order of its nodes, each before its children.</summary>
    private readonly record struct Element(PhysicalType Type, Repetition Repetition, string Name, int Children, int Converted, int Logical);

    private static List<Element> Elements(ref ThriftReader reader, ThriftType list)
    {
        int count = reader.StructList(list);
        if (count > MaxNodes) throw new NotSupportedException($"it has {count:N0} columns; at most {MaxNodes:N0} are read.");
        List<Element> elements = new(count);
        for (int i = 0; i < count; i++)
        {
            (long stored, long repetition, string name, int children, int converted, int logical) = (-1, 0, "", 0, -1, -1);
            for (int field = 0; reader.Next(ref field, out ThriftType type);)
            {
                switch (field)
                {
                    case 1: stored = reader.Integer(type); break;
                    case 3: repetition = reader.Integer(type); break;
                    case 4: name = Encoding.UTF8.GetString(reader.Binary(type)); break;
                    case 5: children = reader.Count(type); break;
                    case 6: converted = reader.Count(type); break;
                    case 10:
                        // A union: a struct of one field, whose number says which.
                        ThriftReader.Struct(type);
                        for (int kind = 0; reader.Next(ref kind, out ThriftType inner);)
                        {
                            logical = kind;
                            reader.Skip(inner);
                        }

                        break;
                    default: reader.Skip(type); break;
                }
            }

            if (stored is < -1 or > (int)PhysicalType.FixedLengthByteArray || repetition is < 0 or > (int)Repetition.Repeated
                || (stored >= 0 && children > 0))
                throw new InvalidDataException("a column is of no known type.");
            elements.Add(new Element((PhysicalType)stored, (Repetition)repetition, name, children, converted, logical));
        }

        return elements;
    }

    private ParquetNode Node(List<Element> elements, ref int next, ParquetNode? parent, int depth = 0)
    {
        if (next >= elements.Count) throw new InvalidDataException("its columns are not a tree.");
        if (depth > MaxDepth) throw new NotSupportedException($"its columns are nested more than {MaxDepth} deep.");
        Element element = elements[next++];
        Repetition repetition = parent is null ? Repetition.Required : element.Repetition;
        const int logicalString = 1, logicalList = 3, logicalEnum = 4, logicalDecimal = 5, logicalJson = 12;
        bool isGroup = element.Type == PhysicalType.Group;
        ParquetNode node = new()
        {
            Name = JsonText.Quoted(element.Name),
            Type = element.Type,
            Repetition = repetition,
            Definition = (parent?.Definition ?? 0) + (repetition == Repetition.Required ? 0 : 1),
            Level = (parent?.Level ?? 0) + (repetition == Repetition.Repeated ? 1 : 0),
            IsList = isGroup && (element.Converted == ListType || element.Logical == logicalList)
                && element.Children == 1 && next < elements.Count && elements[next].Repetition == Repetition.Repeated,
            IsListWrapper = parent is { IsList: true } && isGroup && element.Children == 1 && element.Name != "array"
                && !element.Name.EndsWith("_tuple", StringComparison.Ordinal),
            IsText = element.Converted is Utf8 or EnumType or JsonType || element.Logical is logicalString or logicalEnum or logicalJson,
            IsJson = element.Converted == JsonType || element.Logical == logicalJson,
            IsUnsigned = element.Converted is >= UnsignedFirst and <= UnsignedLast,
            IsRead = element.Type is not (PhysicalType.Int96 or PhysicalType.FixedLengthByteArray) && element.Converted != DecimalType
                && element.Logical != logicalDecimal,
        };
        if (!node.IsRead && depth == 1 && element.Name == "id") throw JsonText.IdIsLeftOut();
        if (!isGroup)
        {
            node.SetColumn(_columns.Count);
            _columns.Add(node);
            return node;
        }

        List<ParquetNode> children = [];
        for (int i = 0; i < element.Children; i++) children.Add(Node(elements, ref next, node, depth + 1));
        node.Adopt(children);
        return node;
    }
}
