using System.Text.Encodings.Web;
using System.Text.Json;

namespace LdlVk.Datasets.Items;

/// <summary>
/// Writes the result of an item, the same for a line of results and for an answer. Numbers are the shortest that read back to the same
/// bits.
/// </summary>
public static class RewardJson
{
    /// <summary>JSON on one line: letters stay letters, and what JSON must escape is escaped.</summary>
    public static JsonWriterOptions Compact { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>As <see cref="Compact"/>, for people.</summary>
    public static JsonWriterOptions Indented { get; } = Compact with { Indented = true };

    /// <summary>The members <c>score</c> and <c>tokens</c> of a text.</summary>
    /// <param name="json">Inside an object.</param>
    /// <param name="reward">The reward.</param>
    /// <param name="details">Whether <c>weights</c>, <c>distribution</c> and <c>rewards</c> follow, if the model has them.</param>
    public static void Write(Utf8JsonWriter json, Reward reward, bool details) => Write(json, [reward], many: false, details);

    /// <summary>
    /// The members <c>scores</c>, <c>best</c> and <c>tokens</c> of several responses; <c>best</c> is the index of the best, of equals the
    /// first.
    /// </summary>
    /// <param name="json">Inside an object.</param>
    /// <param name="rewards">The responses' rewards.</param>
    /// <param name="details">Whether lists of <c>weights</c>, <c>distribution</c> and <c>rewards</c> follow, if the model has them.</param>
    public static void Write(Utf8JsonWriter json, IReadOnlyList<Reward> rewards, bool details) => Write(json, rewards, many: true, details);

    /// <summary>Index of the best reward, of equals the first.</summary>
    public static int Best(IReadOnlyList<Reward> rewards) => rewards.Index().MaxBy(r => r.Item.Score).Index;

    /// <summary>The member <c>id</c>.</summary>
    /// <param name="json">Inside an object.</param>
    /// <param name="id">The id as JSON, as it was given.</param>
    public static void WriteId(Utf8JsonWriter json, string id)
    {
        json.WritePropertyName("id");
        json.WriteRawValue(id, skipInputValidation: true);
    }

    /// <summary>A list of numbers.</summary>
    public static void WriteNumbers(Utf8JsonWriter json, ReadOnlySpan<float> numbers)
    {
        json.WriteStartArray();
        foreach (float number in numbers) json.WriteNumberValue(number);
        json.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter json, IReadOnlyList<Reward> rewards, bool many, bool details)
    {
        Each(many ? "scores" : "score", r => json.WriteNumberValue(r.Score));
        if (many) json.WriteNumber("best", Best(rewards));
        Each("tokens", r => json.WriteNumberValue(r.Tokens));
        if (!details || !rewards.Any(r => r.HasDistribution)) return;
        Each("weights", r => WriteNumbers(json, r.Weights.AsSpan()));
        Each("distribution", r => WriteNumbers(json, r.Distribution.AsSpan()));
        Each("rewards", r =>
        {
            json.WriteStartArray();
            for (int a = 0; a < r.Attributes; a++) WriteNumbers(json, r.AttributeDistribution(a));
            json.WriteEndArray();
        });

        void Each(string name, Action<Reward> value)
        {
            json.WritePropertyName(name);
            if (many) json.WriteStartArray();
            foreach (Reward reward in rewards) value(reward);
            if (many) json.WriteEndArray();
        }
    }
}
