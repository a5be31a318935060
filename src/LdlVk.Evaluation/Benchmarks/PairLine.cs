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

    /// <summary>The line's prompt in RewardBench 2's Ties subset; null for other subsets.</summary>
    public TiesId? Ties { get; private init; }

    /// <summary>The unparsed line.</summary>
    public JsonElement Fields { get; private init; }

    /// <summary>Reads a line. Unknown fields are ignored.</summary>
    public static PairLine Parse(RawLine line)
    {
        int bytes = line.Bytes.Length;
        return JsonLine.Read(
            line, (root, id) => Read(root.Clone(), id, bytes), (id, error) => new PairLine(InputLine.Failed(id, error, bytes)));
    }

    private static PairLine Read(JsonElement root, string id, int bytes)
    {
        JsonElement chosen = Required(root, "chosen"), rejected = Required(root, "rejected");
        Message[] prompt = Prompt(root);
        string subset = JsonLine.Fields.Find(root, "subset") is { } given ? JsonLine.Fields.String(given, "subset") : NoSubset;
        bool isBestOf = IsListOfResponses(chosen) || IsListOfResponses(rejected);
        Conversation[] good = isBestOf ? Responses(chosen, "chosen", prompt) : [Response(chosen, "chosen", prompt)];
        Conversation[] bad = isBestOf ? Responses(rejected, "rejected", prompt) : [Response(rejected, "rejected", prompt)];
        return new PairLine(InputLine.Of(id, new Item { Conversations = [.. good, .. bad], HasResponses = true }, bytes))
        {
            Subset = subset, ChosenCount = good.Length, IsBestOf = isBestOf, Fields = root,
            Ties = isBestOf ? CheckBestOf(root, subset, good.Length) : null,
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

    private static JsonElement Required(JsonElement root, string name) =>
        JsonLine.Fields.Find(root, name) ?? throw new InputException($"the line has no {name}. Pairs have prompt, chosen and rejected.");

    private static Message[] Prompt(JsonElement root)
    {
        // The published tools also accept the other two names.
        JsonElement? prompt = JsonLine.Fields.Find(root, "prompt") ?? JsonLine.Fields.Find(root, "question")
            ?? JsonLine.Fields.Find(root, "input");
        if (prompt is not { } given) return [];
        return given.ValueKind == JsonValueKind.Array
            ? JsonLine.Fields.Messages(given, "prompt")
            : [new Message("user", JsonLine.Fields.String(given, "prompt"))];
    }

    private static bool IsListOfResponses(JsonElement value) =>
        value.ValueKind == JsonValueKind.Array && (value.GetArrayLength() == 0 || value[0].ValueKind == JsonValueKind.String);

    /// <summary>Reads a response: a string, or messages, which are the whole conversation unless they begin with the answer.</summary>
    private static Conversation Response(JsonElement value, string name, Message[] prompt)
    {
        if (value.ValueKind != JsonValueKind.Array) return Answer(JsonLine.Fields.String(value, name), prompt);
        Message[] messages = JsonLine.Fields.Messages(value, name);
        return new Conversation(messages[0].Role == "user" ? messages : [.. prompt, .. messages]);
    }

    private static Conversation[] Responses(JsonElement value, string name, Message[] prompt)
    {
        List<string> responses = JsonLine.Fields.StringList(value, name, InputLine.MaxResponses);
        return responses.Count > 0
            ? [.. responses.Select(response => Answer(response, prompt))]
            : throw new InputException($"{name} is empty.");
    }

    private static Conversation Answer(string response, Message[] prompt) => prompt.Length > 0
        ? new Conversation([.. prompt, new Message("assistant", response)])
        : throw new InputException(
            "the line has no prompt. Pairs have prompt, chosen and rejected, or lists of messages for chosen and rejected.");
}
