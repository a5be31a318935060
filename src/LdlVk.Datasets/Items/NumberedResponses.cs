using System.Globalization;
using System.Text.Json;

namespace LdlVk.Datasets.Items;

/// <summary>
/// Responses in fields of their own, <c>response_1</c> to <c>response_N</c>, N above 2, and which of them are better: the correctness sets
/// of Preference Proxy Evaluations (lmarena-ai/PPE-…-Best-of-K; Frick et al. 2024, arXiv:2410.14872), with <c>scores</c> for the responses
/// and <c>sampled_conflict_pairs</c> of indices from 0.
/// </summary>
internal static class NumberedResponses
{
    private const string Stem = "response_", Scores = "scores", Pairs = "sampled_conflict_pairs";

    /// <summary>Returns the responses of an item in their order; null if it has no third one.</summary>
    public static Part[]? Find(JsonElement item, JsonFields fields, int max)
    {
        if (!Enumerable.Range(1, 3).All(number => ItemFields.IsGiven(item, Name(number)))) return null;
        List<Part> found = [];
        while (ItemFields.IsGiven(item, Name(found.Count + 1)))
        {
            if (found.Count == max) throw fields.Error($"{fields.Subject} has more than {max} responses.");
            found.Add(new Part(Name(found.Count + 1), item.GetProperty(Name(found.Count + 1))));
        }

        // A response that is missing in between would give those behind it the scores of others.
        foreach (JsonProperty field in item.EnumerateObject())
            if (field.Value.ValueKind != JsonValueKind.Null && Number(field.Name) is { } number && number > found.Count)
                throw fields.Error($"{fields.Subject} has {field.Name}, but no {Name(found.Count + 1)}.");
        return [.. found];
    }

    /// <summary>Whether a field holds a response by its name.</summary>
    public static bool IsOne(string name) => Number(name) is not null;

    /// <summary>Returns the preference among numbered responses; null if the item states none.</summary>
    public static Preference? Preference(JsonElement item, JsonFields fields, int responses)
    {
        if (fields.Find(item, Pairs) is not { } pairs) return null;
        double[] scores = [.. fields.List(fields.Get(item, Scores), Scores).Select(ScoreOf)];
        if (scores.Length != responses)
            throw fields.Error($"{fields.Subject} has {responses} responses, and {Scores} has {scores.Length} values.");
        (int, int)[] ordered = [.. fields.List(pairs, Pairs).Select(Ordered)];
        return ordered.Length > 0 ? new Preference([]) { Pairs = ordered } : new Preference([], Unknown: $"{Pairs} is empty.");

        double ScoreOf(JsonElement value, int index) => value.ValueKind switch
        {
            JsonValueKind.True => 1,
            JsonValueKind.False => 0,
            JsonValueKind.Number => value.GetDouble(),
            _ => throw fields.Wrong(value, At(Scores, index), "a number, true or false"),
        };

        (int Better, int Worse) Ordered(JsonElement pair, int index)
        {
            string at = At(Pairs, index);
            int[] both = [.. fields.List(pair, at).Select(one => one.ValueKind == JsonValueKind.Number && one.TryGetInt32(out int i)
                && i >= 0 && i < responses ? i : throw fields.Error($"{at} names a response that is not one of 0 to {responses - 1}."))];
            if (both is not [var first, var second]) throw fields.Error($"{at} has {both.Length} responses, not 2.");
            return scores[first].CompareTo(scores[second]) switch
            {
                > 0 => (first, second),
                < 0 => (second, first),
                _ => throw fields.Error($"{at} names two responses with equal {Scores}, of which none is better."),
            };
        }
    }

    private static string Name(int number) => string.Create(CultureInfo.InvariantCulture, $"{Stem}{number}");

    private static string At(string list, int index) => string.Create(CultureInfo.InvariantCulture, $"{list}[{index}]");

    private static int? Number(string name) => name.StartsWith(Stem, StringComparison.Ordinal)
        && int.TryParse(name.AsSpan(Stem.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;
}
