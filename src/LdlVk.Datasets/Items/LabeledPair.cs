using System.Text.Json;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Datasets.Items;

/// <summary>
/// Two responses side by side and a label that says which is better: <c>response_a</c> and <c>response_b</c> with <c>winner</c>, and
/// their like (JudgeBench, Chatbot Arena, HelpSteer2's and PKU-SafeRLHF's preferences).
/// </summary>
internal sealed class LabeledPair
{
    private static readonly string[] Stems = ["response", "answer", "output", "completion", "conversation"];

    private static readonly (string First, string Second)[] Endings =
        [("_a", "_b"), ("_A", "_B"), ("_1", "_2"), ("1", "2"), ("_0", "_1")];

    /// <summary>The names of all pairs. Every line of a data set is asked for them.</summary>
    private static readonly (string First, string Second)[] Pairs =
        [.. Stems.SelectMany(stem => Endings.Select(ending => (stem + ending.First, stem + ending.Second)))];

    private static readonly string[] Labels = ["label", "winner", "preference", "preferred", "better_response_id", "chosen"];

    /// <summary>Numbers whose sign says which is better: negative for the first response.</summary>
    private static readonly string[] Signed = ["preference_strength", "overall_preference"];

    private static readonly string[] FirstWords = ["a", "a>b", "a>>b", "model_a", "response_a", "first"];
    private static readonly string[] SecondWords = ["b", "b>a", "b>>a", "model_b", "response_b", "second"];
    private static readonly string[] TieWords = ["tie", "a=b", "b=a", "tie (bothbad)", "both_bad", "equal"];

    private LabeledPair((string Name, JsonElement Value) first, (string Name, JsonElement Value) second, Preference preference) =>
        (First, Second, Preference) = (first, second, preference);

    /// <summary>The first response.</summary>
    public (string Name, JsonElement Value) First { get; }

    /// <summary>The second response.</summary>
    public (string Name, JsonElement Value) Second { get; }

    /// <summary>Which is better.</summary>
    public Preference Preference { get; }

    /// <summary>Returns the pair of an item; null if it has none.</summary>
    public static LabeledPair? Find(JsonElement item, ItemFields names)
    {
        if (names.IsMap)
        {
            (string Name, JsonElement Value)[] a = [.. names.Find(item, ItemPart.First)], b = [.. names.Find(item, ItemPart.Second)];
            return a.Length == 0 || b.Length == 0 ? null
                : new LabeledPair(a[0], b[0], names.Find(item, ItemPart.Label).ToArray() is [var label, ..]
                    ? Of(label.Name, label.Value, null)
                    : Unlabeled());
        }

        foreach ((string a, string b) in Pairs)
        {
            if (!ItemFields.IsGiven(item, a) || !ItemFields.IsGiven(item, b)) continue;
            return new LabeledPair((a, item.GetProperty(a)), (b, item.GetProperty(b)), Labeled(item, a[^1]));
        }

        return null;
    }

    /// <summary>Returns the part of a pair that a field is; null if it is none.</summary>
    public static ItemPart? PartOf(string name)
    {
        foreach (string stem in Stems)
        {
            if (!name.StartsWith(stem, StringComparison.Ordinal)) continue;
            foreach ((string first, string second) in Endings)
            {
                if (name.AsSpan(stem.Length).SequenceEqual(first)) return ItemPart.First;
                if (name.AsSpan(stem.Length).SequenceEqual(second)) return ItemPart.Second;
            }
        }

        if (NumberedResponses.IsOne(name)) return ItemPart.First;
        return Labels.Contains(name) || Signed.Contains(name) ? ItemPart.Label : null;
    }

    private static Preference Labeled(JsonElement item, char first)
    {
        foreach (string name in Labels)
            if (ItemFields.IsGiven(item, name)) return Of(name, item.GetProperty(name), char.IsDigit(first) ? first - '0' : null);
        foreach (string name in Signed)
        {
            if (ItemFields.IsGiven(item, name) && item.GetProperty(name) is { ValueKind: JsonValueKind.Number } strength)
                return strength.GetDouble() switch { < 0 => Better(0), > 0 => Better(1), _ => Tie(name) };
        }

        if (IsOne(item, "winner_model_a")) return Better(0);
        if (IsOne(item, "winner_model_b")) return Better(1);
        return IsOne(item, "winner_tie") ? Tie("winner_tie") : Unlabeled();
    }

    /// <summary>Reads a label: a word, or the number of a response where their names have numbers.</summary>
    private static Preference Of(string name, JsonElement value, int? first)
    {
        string word = value.ValueKind == JsonValueKind.String ? value.GetString()!.Trim().ToLowerInvariant() : value.GetRawText();
        if (word.StartsWith("[[", StringComparison.Ordinal) && word.EndsWith("]]", StringComparison.Ordinal)) word = word[2..^2];
        if (FirstWords.Contains(word)) return Better(0);
        if (SecondWords.Contains(word)) return Better(1);
        if (TieWords.Contains(word)) return Tie(name);
        if (first is { } number && int.TryParse(word, out int given) && (given == number || given == number + 1))
            return given == number ? Better(0) : Better(1);
        return new Preference([], Unknown: $"{name} is {JsonFields.Kind(value)}{(value.ValueKind == JsonValueKind.String
            ? $" {Readable.Quoted(value.GetString()!)}" : "")}, which does not say which response is better.");
    }

    private static Preference Better(int index) => new([index]);

    private static Preference Tie(string name) => new([], Unknown: $"{name} says that the responses are equal, so there is no preference.");

    private static Preference Unlabeled() =>
        new([], Unknown: $"there is no label, such as winner, that says which response is better.");

    private static bool IsOne(JsonElement item, string name) =>
        item.TryGetProperty(name, out JsonElement value)
        && (value.ValueKind == JsonValueKind.True || (value.ValueKind == JsonValueKind.Number && value.GetDouble() == 1));
}
