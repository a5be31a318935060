namespace LdlVk.Datasets.Containers.Parquet;

/// <summary>How Parquet stores a value (Type in parquet.thrift).</summary>
internal enum PhysicalType
{
    Group = -1, Boolean, Int32, Int64, Int96, Float, Double, ByteArray, FixedLengthByteArray,
}

/// <summary>How often a value is there (FieldRepetitionType in parquet.thrift).</summary>
internal enum Repetition
{
    Required, Optional, Repeated,
}

/// <summary>
/// A column, or a group of them. Definition and repetition levels are Dremel's: an entry whose definition level is less than
/// <see cref="Definition"/> is one where this node, or one above it, is null or an empty list; one whose repetition level equals
/// <see cref="Level"/> goes on with the list that this node is an item of.
/// </summary>
internal sealed class ParquetNode
{
    /// <summary>Its name as JSON, quoted.</summary>
    public required byte[] Name { get; init; }

    /// <summary>How its values are stored; <see cref="PhysicalType.Group"/> if it has columns below.</summary>
    public required PhysicalType Type { get; init; }

    /// <summary>How often it is there.</summary>
    public required Repetition Repetition { get; init; }

    /// <summary>Definition level of an entry where it is there.</summary>
    public required int Definition { get; init; }

    /// <summary>Repetition level of the innermost list that it is in.</summary>
    public required int Level { get; init; }

    /// <summary>Whether it is a list in the sense of people: a group whose only child is repeated.</summary>
    public required bool IsList { get; init; }

    /// <summary>
    /// Whether it is the middle one of the three levels of a list, <c>group (LIST) { repeated group list { element } }</c>, which is no
    /// object. Some writers make two levels; LogicalTypes.md says how to tell them.
    /// </summary>
    public required bool IsListWrapper { get; init; }

    /// <summary>Whether its bytes were said to be text; what is not said to be is text all the same if it is UTF-8.</summary>
    public required bool IsText { get; init; }

    /// <summary>Whether its texts are JSON, each one value.</summary>
    public required bool IsJson { get; init; }

    /// <summary>Whether it is a number without a sign.</summary>
    public required bool IsUnsigned { get; init; }

    /// <summary>Whether its values have a form in JSON; if not, it is left out.</summary>
    public required bool IsRead { get; init; }

    /// <summary>Index of the column; of a group, of the first that is read below it.</summary>
    public int Column { get; private set; } = -1;

    /// <summary>The nodes below it that are read.</summary>
    public IReadOnlyList<ParquetNode> Children { get; private set; } = [];

    /// <summary>Puts columns below a group.</summary>
    public void Adopt(IEnumerable<ParquetNode> children)
    {
        Children = [.. children.Where(child => child.Column >= 0)];
        if (Children.Count > 0) Column = Children[0].Column;
    }

    /// <summary>Makes it a column.</summary>
    public void SetColumn(int index) => Column = IsRead ? index : -1;
}
