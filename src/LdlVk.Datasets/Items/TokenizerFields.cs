using System.Text.Json;

namespace LdlVk.Datasets.Items;

/// <summary>
/// What tokenizers write beside token ids. Every token of an item is read, at the position that it has in the list, so a mask that hides
/// tokens and other positions would give another score.
/// </summary>
public static class TokenizerFields
{
    /// <summary>The names of the fields.</summary>
    public const string Mask = "attention_mask", Positions = "position_ids";

    /// <summary>Throws if a mask hides a token, or positions are not those in the list.</summary>
    /// <param name="fields">Creates the errors.</param>
    /// <param name="item">The object.</param>
    /// <param name="count">Number of its token ids.</param>
    internal static void Check(JsonFields fields, JsonElement item, int count)
    {
        if (ItemFields.IsGiven(item, Mask))
        {
            int hidden = Array.IndexOf(Numbers(Mask), 0);
            if (hidden >= 0)
                throw fields.Error(
                    $"{Mask} hides token {hidden} (counted from 0), and every token is read. Remove the tokens that it hides, such as "
                    + $"padding.");
        }

        if (ItemFields.IsGiven(item, Positions) && !Numbers(Positions).SequenceEqual(Enumerable.Range(0, count)))
            throw fields.Error($"{Positions} are not 0, 1, 2, …: other positions of tokens are not supported. Remove the field.");

        int[] Numbers(string name)
        {
            int[] numbers = fields.Ids(item.GetProperty(name), name);
            return numbers.Length == count
                ? numbers : throw fields.Error($"{name} has {numbers.Length} numbers for {count} token ids.");
        }
    }

    /// <summary>Whether a mask hides anything.</summary>
    public static bool Hides(JsonElement mask) => mask.ValueKind == JsonValueKind.Array
        ? mask.EnumerateArray().Any(Hides)
        : mask.ValueKind == JsonValueKind.False
            || (mask.ValueKind == JsonValueKind.Number && mask.TryGetDouble(out double value) && value == 0);
}
