using LdlVk.Datasets.Containers.Json;

namespace LdlVk.Datasets.Containers.Arrow;

/// <summary>The types of Arrow (union Type in Schema.fbs).</summary>
internal enum ArrowType
{
    None, Null, Int, FloatingPoint, Binary, Utf8, Bool, Decimal, Date, Time, Timestamp, Interval, List, Struct, Union, FixedSizeBinary,
    FixedSizeList, Map, Duration, LargeBinary, LargeUtf8, LargeList, RunEndEncoded, BinaryView, Utf8View, ListView, LargeListView,
}

/// <summary>A column, or a part of one (Field in Schema.fbs).</summary>
internal sealed class ArrowField
{
    private const int MaxFields = 10_000, MaxDepth = 32;

    private const string ExtensionName = "ARROW:extension:name", JsonExtension = "arrow.json";

    private ArrowField(FlatTable field, ref int count, int depth)
    {
        if (++count > MaxFields) throw new NotSupportedException($"it has more than {MaxFields:N0} columns.");
        if (depth > MaxDepth) throw new NotSupportedException($"its columns are nested more than {MaxDepth} deep.");
        Name = JsonText.Quoted(field.Text(0));
        Type = (ArrowType)field.Byte(2);
        if (Type is ArrowType.None or > ArrowType.LargeListView)
            throw new NotSupportedException($"a column has the unknown type {(int)Type}.");
        FlatTable type = field.Table(3);
        (Bits, IsSigned) = Type switch
        {
            ArrowType.Int => (type.Int32(0, 0), type.Byte(1) != 0),
            ArrowType.FloatingPoint => (16 << type.Int16(0, 0), true),
            ArrowType.Date => (type.Int16(0, 1) == 0 ? 32 : 64, true),
            ArrowType.Time => (type.Int32(1, 32), true),
            ArrowType.Timestamp or ArrowType.Duration => (64, true),
            _ => (0, false),
        };
        if (Type is ArrowType.Int or ArrowType.Time or ArrowType.FloatingPoint && Bits is not (8 or 16 or 32 or 64))
            throw new InvalidDataException($"a column has numbers of {Bits} bits.");
        ListSize = Type == ArrowType.FixedSizeList ? type.Int32(0, 0) : 0;
        if (ListSize < 0) throw new InvalidDataException("a column has lists of a negative size.");
        HasUnionOffsets = Type == ArrowType.Union && type.Int16(0, 0) == 1;
        if (field.Has(4))
        {
            FlatTable encoding = field.Table(4);
            DictionaryId = encoding.Int64(0);
            (IndexBits, IsIndexSigned) = encoding.Has(1) ? (encoding.Table(1).Int32(0, 0), encoding.Table(1).Byte(1) != 0) : (32, true);
            if (IndexBits is not (8 or 16 or 32 or 64)) throw new InvalidDataException($"a dictionary has indices of {IndexBits} bits.");
        }

        var children = new ArrowField[field.Count(5)];
        for (int i = 0; i < children.Length; i++) children[i] = new ArrowField(field.Table(5, i), ref count, depth + 1);
        Children = children;
        int wanted = Type switch
        {
            ArrowType.List or ArrowType.LargeList or ArrowType.FixedSizeList or ArrowType.Map or ArrowType.ListView
                or ArrowType.LargeListView => 1,
            ArrowType.RunEndEncoded => 2,
            ArrowType.Struct or ArrowType.Union => children.Length,
            _ => 0,
        };
        if (children.Length != wanted) throw new InvalidDataException("a column has too many or too few parts.");
        for (int i = 0; i < field.Count(6); i++)
        {
            FlatTable pair = field.Table(6, i);
            if (pair.Text(0) == ExtensionName) IsJson = pair.Text(1) == JsonExtension;
        }
    }

    /// <summary>Its name as JSON, quoted.</summary>
    public byte[] Name { get; }

    /// <summary>Its type; of a dictionary's, the type of the entries.</summary>
    public ArrowType Type { get; }

    /// <summary>Bits of a number.</summary>
    public int Bits { get; }

    /// <summary>Whether a whole number may be negative.</summary>
    public bool IsSigned { get; }

    /// <summary>Number of items of a list of fixed size.</summary>
    public int ListSize { get; }

    /// <summary>Whether a union has offsets.</summary>
    public bool HasUnionOffsets { get; }

    /// <summary>The dictionary in which its values are; null if they are not in one.</summary>
    public long? DictionaryId { get; }

    /// <summary>Bits of an index into the dictionary.</summary>
    public int IndexBits { get; }

    /// <summary>Whether indices are signed.</summary>
    public bool IsIndexSigned { get; }

    /// <summary>Whether its texts are JSON, each one value.</summary>
    public bool IsJson { get; }

    /// <summary>Its parts.</summary>
    public IReadOnlyList<ArrowField> Children { get; }

    /// <summary>Whether its values have a form in JSON; if not, it is left out.</summary>
    public bool IsRead => Type is not (ArrowType.Decimal or ArrowType.Interval or ArrowType.FixedSizeBinary or ArrowType.Union
        or ArrowType.RunEndEncoded);

    /// <summary>Reads the columns of a schema.</summary>
    public static ArrowField[] Read(FlatTable schema)
    {
        if (schema.Int16(0, 0) != 0) throw new NotSupportedException("its numbers are big-endian.");
        var fields = new ArrowField[schema.Count(1)];
        int count = 0;
        for (int i = 0; i < fields.Length; i++) fields[i] = new ArrowField(schema.Table(1, i), ref count, 0);
        return fields;
    }

    /// <summary>Returns the columns of which some values are in a dictionary.</summary>
    public static IEnumerable<ArrowField> WithDictionary(IEnumerable<ArrowField> fields) =>
        fields.SelectMany(field => WithDictionary(field.Children).Prepend(field)).Where(field => field.DictionaryId is not null);
}
