using System.Text.Json;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;

namespace LdlVk.Evaluation.Benchmarks;

/// <summary>A line of a preference dataset: chosen responses that should score above rejected ones.</summary>
public sealed class PairLine
{
    /// <summary>Subset of lines that name none.</summary>
    public const string NoSubset = "no subset";

    private PairLine(InputLine texts) => Texts = texts;

    /// <summary>The texts to score, the chosen ones first; or the reason why there are none.</summary>
    public InputLine Texts { get; }

    /// <summary>The line's subset.</summary>
    public string Subset { get; private init; } = NoSubset;

    /// <summary>Number of chosen texts.</summary>
    public int ChosenCount { get; private init; }

    /// <summary>Whether chosen and rejected are lists of responses, as in RewardBench 2.</summary>
    public bool IsBestOf { get; private init; }

    /// <summary>Whether each chosen response is compared with the rejected one of the same number alone, as in PPE.</summary>
    public bool IsPaired { get; private init; }

    /// <summary>Whether they are those of RM-Bench: three styles each, with a domain.</summary>
    public bool IsStyles { get; private init; }

    /// <summary>The line's prompt in RewardBench 2's Ties subset; null for other subsets.</summary>
    public TiesId? Ties { get; private init; }

    /// <summary>The unparsed line.</summary>
    public JsonElement Fields { get; private init; }

    /// <summary>Reads a line.</summary>
    /// <param name="line">The line.</param>
    /// <param name="names">The fields of an item's parts; null for the usual ones.</param>
    public static PairLine Parse(RawLine line, ItemFields? names = null)
    {
        int bytes = line.Bytes.Length;
        ItemReader reader = new(JsonLine.Fields, names);
        return JsonLine.Read(
            line,
            (root, id) => Of(root.Clone(), id, reader.Read(root, InputLine.MaxResponses), bytes),
            (id, error) => new PairLine(InputLine.Failed(id, error, bytes)));
    }

    private static PairLine Of(JsonElement root, string id, Item item, int bytes)
    {
        // A name that is not valid Unicode throws, and is an error of the line; the names are written into results.
        foreach (JsonProperty field in root.EnumerateObject()) _ = field.Name;
        if (item.Preference is not { } preference)
            throw new InputException("the line has no chosen and rejected. Pairs have prompt, chosen and rejected.");
        if (preference.Unknown is { } unknown) throw new InputException(unknown);
        // A response of several pairs is a text of each; equal texts are computed once.
        bool isPaired = preference.Pairs.Count > 0;
        int[] better = isPaired ? [.. preference.Pairs.Select(pair => pair.Better)] : [.. preference.Chosen];
        IEnumerable<int> worse = isPaired
            ? preference.Pairs.Select(pair => pair.Worse) : Enumerable.Range(0, item.Conversations.Count).Except(preference.Chosen);
        int chosen = better.Length;
        Conversation[] texts = [.. better.Concat(worse).Select(i => item.Conversations[i])];
        bool isStyles = preference.IsList && chosen == RmBench.Styles && item.Conversations.Count == 2 * RmBench.Styles
            && JsonLine.Fields.Find(root, "domain") is { ValueKind: JsonValueKind.String } && JsonLine.Fields.Find(root, "subset") is null;
        string subset = JsonLine.Fields.Find(root, isStyles ? "domain" : "subset") is { } given
            ? JsonLine.Fields.String(given, "subset")
            : NoSubset;
        return new PairLine(InputLine.Of(id, item with { Conversations = texts }, bytes))
        {
            Subset = subset, ChosenCount = chosen, IsBestOf = preference.IsList || isPaired, IsStyles = isStyles, IsPaired = isPaired,
            Fields = root,
            Ties = preference.IsList ? CheckBestOf(root, subset, chosen) : null,
        };
    }

    /// <summary>Checks the fields of RewardBench 2: the number of correct answers, and the Ties subset.</summary>
    private static TiesId? CheckBestOf(JsonElement root, string subset, int chosen)
    {
        if (JsonLine.Fields.Find(root, "num_correct") is { } correct
            && !(correct.ValueKind == JsonValueKind.Number && correct.TryGetDouble(out double n) && n == chosen))
            throw new InputException($"num_correct is {correct.GetRawText()}, but chosen has {chosen}.");
        if (!subset.Equals("ties", StringComparison.OrdinalIgnoreCase)) return null;
        TiesId id = (JsonLine.Fields.Find(root, "id") is { ValueKind: JsonValueKind.String } text ? TiesId.Parse(text.GetString()!) : null)
            ?? throw new InputException(
                "a line of the subset Ties needs an id such as \"ref:7\" or \"tied:7\", which names its prompt.");
        if (!id.IsReference && chosen < 2)
            throw new InputException("a \"tied\" line of the subset Ties has at least two chosen responses.");
        return id;
    }
}
