using System.Text.Json;

namespace LdlVk.Server.Http;

/// <summary>
/// Limits of the JSON of a large body: .NET's document takes 12 bytes for each value beside the text, which "[[],[],…" makes eight times
/// the body, and a set of the names of each object.
/// </summary>
internal static class JsonLimits
{
    /// <summary>Maximum nesting depth; the protocols need 5.</summary>
    public const int MaxDepth = 16;

    /// <summary>Bytes up to which a body cannot become large.</summary>
    private const int Small = 1 << 16;

    private const int MaxFields = 4096;

    /// <summary>Throws if a body has more values than the limit, or an object with too many fields.</summary>
    /// <param name="utf8">The body.</param>
    /// <param name="maxValues">Maximum number of values.</param>
    /// <exception cref="RequestException">It has.</exception>
    /// <exception cref="JsonException">It is not valid JSON.</exception>
    public static void Check(ReadOnlySpan<byte> utf8, long maxValues)
    {
        if (utf8.Length <= Small) return;
        Utf8JsonReader reader = new(utf8, new JsonReaderOptions { MaxDepth = MaxDepth });
        Span<int> fields = stackalloc int[MaxDepth + 2];
        long values = 0;
        while (reader.Read())
        {
            if (++values > maxValues)
                throw new RequestException(413, $"The body has more than {maxValues} numbers, strings and lists. Send several requests.");
            if (reader.TokenType == JsonTokenType.StartObject) fields[reader.CurrentDepth + 1] = 0;
            else if (reader.TokenType == JsonTokenType.PropertyName && ++fields[reader.CurrentDepth] > MaxFields)
                throw new RequestException(400, $"An object of the body has more than {MaxFields} fields. No endpoint has so many.");
        }
    }
}
