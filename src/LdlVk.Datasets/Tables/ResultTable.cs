using System.Text;
using System.Text.Json;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Files;
using Parquet;
using Parquet.Schema;

namespace LdlVk.Datasets.Tables;

/// <summary>
/// Results as Parquet. A table is written from complete lines of results, because only they tell which columns there are: it is a function
/// of the lines, to the byte, so that parts that are merged give the file of an undisturbed run. Memory is a row group.
/// </summary>
/// <remarks>
/// Parquet.Net 6.1.0 writes it, with NativeAOT too; DuckDB reads nested lists of its files right. Its reader is not used, as the remarks of
/// <see cref="Containers.Parquet.ParquetFile"/> say.
/// </remarks>
internal static class ResultTable
{
    /// <summary>Ending of the names of files that become tables.</summary>
    public const string Extension = ".parquet";

    /// <summary>Limits of a row group, whichever is reached first: 64 Ki rows, or entries of all columns that take some 50 MB.</summary>
    private const int MaxRows = 1 << 16, MaxEntries = 4 << 20;

    /// <summary>Whether a file of this name is written as a table.</summary>
    public static bool IsTable(string path) => path.EndsWith(Extension, StringComparison.OrdinalIgnoreCase);

    /// <summary>Checks that a table has the ending under both of its names, and goes into a file.</summary>
    /// <param name="path">The path of an output.</param>
    /// <param name="final">Where it leads to, through links.</param>
    /// <exception cref="UsageException">It is not so.</exception>
    public static void Check(string path, string final)
    {
        if (IsTable(path) != IsTable(final))
            throw new UsageException($"{path} is a link to {final}: give both or neither a name that ends with {Extension}.");
        if (IsTable(path) && FileIdentity.Of(final)?.Kind == FileKind.Device)
            throw new UsageException($"{path} is a device or a pipe, into which no Parquet is written. Write to a file.");
    }

    /// <summary>Writes the table of the results in a file of lines.</summary>
    /// <param name="lines">The lines, from the beginning.</param>
    /// <param name="shard">The part of the input that they are of.</param>
    /// <param name="output">Receives the table.</param>
    /// <param name="cancellationToken">Cancels the writing.</param>
    public static void Write(Stream lines, Shard shard, Stream output, CancellationToken cancellationToken = default)
    {
        ResultForm form = new();
        lines.Position = 0;
        foreach (RawLine line in Lines(lines, cancellationToken)) form.Add(line.Bytes.Span);
        lines.Position = 0;
        Writer writer = new(form, output, cancellationToken);
        long row = 0;
        foreach (RawLine line in Lines(lines, cancellationToken))
            writer.Add(line.Bytes.Span, shard.LineOf(row++));
        writer.Complete();
    }

    private static IEnumerable<RawLine> Lines(Stream lines, CancellationToken cancellationToken) =>
        new LineReader(lines, cancellationToken, Array.MaxLength).Lines();

    private sealed class Writer
    {
        private readonly CancellationToken _cancellationToken;
        private readonly DataField<long> _line = new("line");
        private readonly DataField _id;
        private readonly DataField<string> _error = new("error");
        private readonly NumberColumn?[] _columns;
        private readonly bool _hasResponses;
        private readonly List<long> _lines = [], _numbers = [];
        private readonly List<string> _names = [], _errors = [];
        private readonly ParquetWriter _writer;

        public Writer(ResultForm form, Stream output, CancellationToken cancellationToken)
        {
            (_cancellationToken, _hasResponses) = (cancellationToken, form.HasResponses);
            _id = form.IdsAreIntegers ? new DataField<long>("id") : new DataField<string>("id");
            _columns = [.. ResultField.All.Select((f, i) => form.Has(i) ? NumberColumn.Of(f, form.HasResponses) : null)];
            ParquetSchema schema = new([_line, _id, .. _columns.OfType<NumberColumn>().Select(column => column.Field), _error]);
            ParquetOptions options = new() { CompressionMethod = CompressionMethod.Zstd };
            _writer = ParquetWriter.CreateAsync(schema, output, options, cancellationToken: cancellationToken).GetAwaiter().GetResult();
        }

        private int Entries
        {
            get
            {
                int entries = _lines.Count;
                foreach (NumberColumn? column in _columns) entries += column?.Count ?? 0;
                return entries;
            }
        }

        public void Add(ReadOnlySpan<byte> line, long number)
        {
            _lines.Add(number);
            Span<bool> there = stackalloc bool[_columns.Length];
            bool hasError = false, isList = _hasResponses && IsList(line);
            Utf8JsonReader json = new(line);
            json.Read();
            while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
            {
                bool isId = json.ValueTextEquals("id"u8), isError = json.ValueTextEquals("error"u8);
                int field = isId || isError ? -1 : ResultForm.IndexOf(ref json);
                json.Read();
                if (isId)
                {
                    if (_id is DataField<long>) _numbers.Add(ResultForm.Integer(ref json)!.Value);
                    else _names.Add(Text(ref json));
                }
                else if (isError && json.TokenType != JsonTokenType.Null)
                {
                    _errors.Add(Text(ref json));
                    hasError = true;
                }
                else if (field >= 0 && _columns[field] is { } column)
                {
                    column.Add(ref json, isList);
                    there[field] = true;
                }
                else
                {
                    json.Skip();
                }
            }

            if (!hasError) _errors.Add(null!);
            for (int i = 0; i < there.Length; i++)
                if (!there[i]) _columns[i]?.AddNull();
            if (_lines.Count == MaxRows || Entries >= MaxEntries) WriteGroup();
        }

        public void Complete()
        {
            if (_lines.Count > 0) WriteGroup();
            _writer.DisposeAsync().AsTask().GetAwaiter().GetResult();
        }

        /// <summary>Whether a row has a list with an item for each response, which its tokens tell.</summary>
        private static bool IsList(ReadOnlySpan<byte> line)
        {
            Utf8JsonReader json = new(line);
            json.Read();
            while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
            {
                bool isTokens = json.ValueTextEquals("tokens"u8);
                json.Read();
                if (isTokens) return json.TokenType == JsonTokenType.StartArray;
                json.Skip();
            }

            return false;
        }

        /// <summary>Returns a text. Half of a surrogate pair has no form in UTF-8; then it is the text as JSON writes it.</summary>
        private static string Text(ref Utf8JsonReader json)
        {
            if (json.TokenType != JsonTokenType.String) return Encoding.UTF8.GetString(json.ValueSpan);
            try
            {
                return json.GetString()!;
            }
            catch (InvalidOperationException)
            {
                return Encoding.UTF8.GetString(json.ValueSpan);
            }
        }

        private void WriteGroup()
        {
            using ParquetRowGroupWriter group = _writer.CreateRowGroup();
            group.WriteAsync<long>(_line, _lines.ToArray()).GetAwaiter().GetResult();
            if (_id is DataField<long>) group.WriteAsync<long>(_id, _numbers.ToArray()).GetAwaiter().GetResult();
            else group.WriteAsync(_id, _names).GetAwaiter().GetResult();
            foreach (NumberColumn? column in _columns) column?.Write(group, _cancellationToken);
            group.WriteAsync(_error, _errors).GetAwaiter().GetResult();
            _lines.Clear();
            _numbers.Clear();
            _names.Clear();
            _errors.Clear();
        }
    }
}
