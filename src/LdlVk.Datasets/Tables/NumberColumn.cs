using System.Text.Json;
using Parquet;
using Parquet.Schema;

namespace LdlVk.Datasets.Tables;

/// <summary>
/// A column of numbers or of nested lists of numbers, as Parquet stores it: values, and for each entry the depth to which it is defined
/// and the list that it continues.
/// </summary>
internal abstract class NumberColumn
{
    private delegate T ReadNumber<T>(ref Utf8JsonReader json);

    private readonly int _depth;
    private readonly bool _wraps;
    private readonly List<int> _definitions = [], _repetitions = [];

    private NumberColumn(ResultField field, bool wraps, DataField data)
    {
        (_wraps, Data) = (wraps && field.GrowsWithResponses, data);
        _depth = field.Depth + (_wraps ? 1 : 0);
        Field = data;
        for (int level = _depth; level > 0; level--) Field = new ListField(level == 1 ? field.Name : ListField.ElementName, Field);
    }

    /// <summary>The column in the schema.</summary>
    public Field Field { get; }

    /// <summary>Number of entries.</summary>
    public int Count => _definitions.Count;

    /// <summary>The field of the numbers.</summary>
    protected DataField Data { get; }

    /// <summary>Creates the column of a field.</summary>
    /// <param name="field">The field.</param>
    /// <param name="hasResponses">Whether some rows have several responses.</param>
    public static NumberColumn Of(ResultField field, bool hasResponses) =>
        field.IsWhole ? new Numbers<int>(field, hasResponses, static (ref json) => json.GetInt32())
            : new Numbers<float>(field, hasResponses, static (ref json) => json.GetSingle());

    /// <summary>Adds a row without a value.</summary>
    public void AddNull() => Add(0, 0);

    /// <summary>Adds a row's value.</summary>
    /// <param name="json">The reader, at the value.</param>
    /// <param name="isList">Whether the row has a list of values, with one for each response.</param>
    public void Add(ref Utf8JsonReader json, bool isList)
    {
        if (json.TokenType == JsonTokenType.Null) AddNull();
        else if (_wraps && !isList) Add(ref json, 1, 0, 2);
        else Add(ref json, 0, 0, 0);
    }

    /// <summary>Writes the column into a row group, and empties it.</summary>
    public void Write(ParquetRowGroupWriter group, CancellationToken cancellationToken)
    {
        ReadOnlyMemory<int>? repetitions = _depth == 0 ? null : _repetitions.ToArray();
        WriteParts(group, _definitions.ToArray(), repetitions, cancellationToken).AsTask().GetAwaiter().GetResult();
        _definitions.Clear();
        _repetitions.Clear();
    }

    /// <summary>Adds the number that is read.</summary>
    protected abstract void AddNumber(ref Utf8JsonReader json);

    /// <summary>Writes the values, and empties them.</summary>
    protected abstract ValueTask WriteParts(
        ParquetRowGroupWriter group, ReadOnlyMemory<int> definitions, ReadOnlyMemory<int>? repetitions,
        CancellationToken cancellationToken);

    private static DataField Create<T>(ResultField field, bool wraps) where T : struct =>
        field.Depth == 0 && !(wraps && field.GrowsWithResponses) ? new DataField<T?>(field.Name) : new DataField<T>(ListField.ElementName);

    private void Add(int definition, int repetition)
    {
        _definitions.Add(definition);
        _repetitions.Add(repetition);
    }

    private void Add(ref Utf8JsonReader json, int level, int repetition, int definition)
    {
        if (level == _depth)
        {
            AddNumber(ref json);
            Add(Math.Max(definition, 1), repetition);
            return;
        }

        if (json.TokenType != JsonTokenType.StartArray) throw new JsonException($"{Data.Path} is no list");
        int at = repetition;
        bool isEmpty = true;
        while (json.Read() && json.TokenType != JsonTokenType.EndArray)
        {
            // A list is two levels: whether it is there, and whether it has an item.
            Add(ref json, level + 1, at, definition + 2);
            (at, isEmpty) = (level + 1, false);
        }

        if (isEmpty) Add(definition + 1, repetition);
    }

    private sealed class Numbers<T>(ResultField field, bool wraps, ReadNumber<T> read)
        : NumberColumn(field, wraps, Create<T>(field, wraps)) where T : struct
    {
        private readonly List<T> _values = [];

        protected override void AddNumber(ref Utf8JsonReader json) => _values.Add(read(ref json));

        protected override async ValueTask WriteParts(
            ParquetRowGroupWriter group, ReadOnlyMemory<int> definitions, ReadOnlyMemory<int>? repetitions,
            CancellationToken cancellationToken)
        {
            await group.WriteAllPartsAsync<T>(Data, _values.ToArray(), definitions, repetitions, cancellationToken)
                .ConfigureAwait(false);
            _values.Clear();
        }
    }
}
