using System.Buffers.Text;
using System.Text.Json;

namespace LdlVk.Datasets.Tables;

/// <summary>
/// Which columns the table of results has: the same for the same results, in any order and from any parts. Columns for which no result has
/// a value are left out.
/// </summary>
internal sealed class ResultForm
{
    private static readonly int Score = ResultField.IndexOf("score"), Scores = ResultField.IndexOf("scores");

    private readonly bool[] _has = new bool[ResultField.All.Length];
    private bool _hasText;

    /// <summary>Whether a result has several responses: then fields of each response are lists in all rows.</summary>
    public bool HasResponses { get; private set; }

    /// <summary>Whether all ids are integers of 64 bits.</summary>
    public bool IdsAreIntegers => !_hasText;

    /// <summary>Whether there is a column for a field. Without any score, as in a file of errors, there are those of one text.</summary>
    public bool Has(int field) => _has[field]
        || (!HasResponses && field == Score) || (HasResponses && field == Scores) || field == ResultField.Tokens;

    /// <summary>Adds a result.</summary>
    /// <param name="line">Its JSON.</param>
    /// <exception cref="JsonException">It is none.</exception>
    public void Add(ReadOnlySpan<byte> line)
    {
        Utf8JsonReader json = new(line);
        json.Read();
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            bool isId = json.ValueTextEquals("id"u8);
            int field = isId ? -1 : IndexOf(ref json);
            json.Read();
            if (isId) _hasText |= Integer(ref json) is null;
            if (field >= 0 && json.TokenType != JsonTokenType.Null)
            {
                _has[field] = true;
                HasResponses |= field == ResultField.Tokens && json.TokenType == JsonTokenType.StartArray;
            }

            json.Skip();
        }
    }

    /// <summary>Returns the index of the field whose name is read.</summary>
    public static int IndexOf(ref Utf8JsonReader json)
    {
        for (int i = 0; i < ResultField.All.Length; i++)
            if (json.ValueTextEquals(ResultField.All[i].Utf8Name)) return i;
        return -1;
    }

    /// <summary>Returns an id as an integer; null if it is another, or if the integer would be written in another way.</summary>
    public static long? Integer(ref Utf8JsonReader json)
    {
        if (json.TokenType != JsonTokenType.Number) return null;
        ReadOnlySpan<byte> text = json.ValueSpan;
        return Utf8Parser.TryParse(text, out long value, out int read) && read == text.Length && !text.SequenceEqual("-0"u8) ? value : null;
    }
}
