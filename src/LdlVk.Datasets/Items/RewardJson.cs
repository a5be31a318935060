using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace LdlVk.Datasets.Items;

/// <summary>
/// Writes the result of an item, for result files and for answers. Numbers have the shortest form that parses to the same bits.
/// </summary>
public static class RewardJson
{
    private static readonly SearchValues<byte> LineEnds = SearchValues.Create("\r\n"u8);

    /// <summary>JSON on one line, without unnecessary escapes.</summary>
    public static JsonWriterOptions Compact { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Like <see cref="Compact"/>, but indented.</summary>
    public static JsonWriterOptions Indented { get; } = Compact with { Indented = true };

    /// <summary>
    /// Writes the members <c>score</c> and <c>tokens</c> of a text, and <c>steps</c> between them if the model scores steps.
    /// </summary>
    /// <param name="json">The writer, inside an object.</param>
    /// <param name="reward">The reward.</param>
    /// <param name="details">Whether what the model gives beside the score follows.</param>
    public static void Write(Utf8JsonWriter json, Reward reward, bool details) => Write(json, [reward], many: false, details);

    /// <summary>
    /// Writes the members <c>scores</c>, <c>best</c> and <c>tokens</c> of several responses. <c>best</c> is the index of the best response,
    /// the first one if several are equal.
    /// </summary>
    /// <param name="json">The writer, inside an object.</param>
    /// <param name="rewards">The responses' rewards.</param>
    /// <param name="details">Whether lists of what the model gives beside the score follow.</param>
    public static void Write(Utf8JsonWriter json, IReadOnlyList<Reward> rewards, bool details) => Write(json, rewards, many: true, details);

    /// <summary>Returns the index of the best reward; the first one if several are equal.</summary>
    public static int Best(IReadOnlyList<Reward> rewards) => rewards.Index().MaxBy(r => r.Item.Score).Index;

    /// <summary>Writes the member <c>id</c>.</summary>
    /// <param name="json">The writer, inside an object.</param>
    /// <param name="id">The id as JSON.</param>
    public static void WriteId(Utf8JsonWriter json, string id)
    {
        json.WritePropertyName("id");
        json.WriteRawValue(id, skipInputValidation: true);
    }

    /// <summary>Writes a value of an input on one line. A string that has half of a surrogate pair stays as it was written.</summary>
    public static void WriteValue(Utf8JsonWriter json, JsonElement value)
    {
        ReadOnlySpan<byte> raw = JsonMarshal.GetRawUtf8Value(value);
        if (raw.IndexOf("\\ud"u8) < 0 && raw.IndexOf("\\uD"u8) < 0)
        {
            value.WriteTo(json);
            return;
        }

        // Line ends of valid JSON stand between its tokens only.
        byte[] line = raw.ToArray();
        line.AsSpan().ReplaceAny(LineEnds, (byte)' ');
        json.WriteRawValue(line, skipInputValidation: true);
    }

    /// <summary>Writes a list of numbers.</summary>
    public static void WriteNumbers(Utf8JsonWriter json, ReadOnlySpan<float> numbers)
    {
        json.WriteStartArray();
        foreach (float number in numbers) json.WriteNumberValue(number);
        json.WriteEndArray();
    }

    /// <summary>Writes the member <c>steps</c> of a process reward model; nothing for other models.</summary>
    public static void WriteSteps(Utf8JsonWriter json, Reward reward)
    {
        if (reward.Steps.Length == 0) return;
        json.WritePropertyName("steps");
        WriteNumbers(json, reward.Steps.AsSpan());
    }

    private delegate ReadOnlySpan<float> AttributeList(int attribute);

    private static void Write(Utf8JsonWriter json, IReadOnlyList<Reward> rewards, bool many, bool details)
    {
        Each(many ? "scores" : "score", r => json.WriteNumberValue(r.Score));
        if (many) json.WriteNumber("best", Best(rewards));
        if (rewards.Any(r => r.Steps.Length > 0)) Each("steps", r => WriteNumbers(json, r.Steps.AsSpan()));
        Each("tokens", r => json.WriteNumberValue(r.Tokens));
        if (!details || !rewards.Any(r => r.HasAttributes)) return;
        Each("weights", r => WriteNumbers(json, r.Weights.AsSpan()));
        if (rewards.Any(r => r.AttributeScores.Length > 0)) Each("attributes", r => WriteNumbers(json, r.AttributeScores.AsSpan()));
        if (rewards.Any(r => r.AdjustedScores.Length > 0)) Each("adjusted", r => WriteNumbers(json, r.AdjustedScores.AsSpan()));
        if (rewards.Any(r => r.Quantiles.Length > 0)) Each("quantiles", r => WriteLists(r, r.AttributeQuantiles));
        if (!rewards.Any(r => r.HasDistribution)) return;
        Each("distribution", r => WriteNumbers(json, r.Distribution.AsSpan()));
        Each("rewards", r => WriteLists(r, r.AttributeDistribution));

        void WriteLists(Reward reward, AttributeList list)
        {
            json.WriteStartArray();
            for (int a = 0; a < reward.Attributes; a++) WriteNumbers(json, list(a));
            json.WriteEndArray();
        }

        void Each(string name, Action<Reward> value)
        {
            json.WritePropertyName(name);
            if (many) json.WriteStartArray();
            foreach (Reward reward in rewards) value(reward);
            if (many) json.WriteEndArray();
        }
    }
}
