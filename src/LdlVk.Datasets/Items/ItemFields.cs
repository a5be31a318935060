using System.Text.Json;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Datasets.Items;

/// <summary>The parts of an item, each of which datasets call by several names.</summary>
public enum ItemPart
{
    /// <summary>A whole conversation, or its messages before the response.</summary>
    Messages,

    /// <summary>The user's message, or the messages before the response.</summary>
    Prompt,

    /// <summary>What Alpaca puts below the instruction.</summary>
    Input,

    /// <summary>The system message.</summary>
    System,

    /// <summary>Earlier turns, as pairs of a user's and an assistant's message.</summary>
    History,

    /// <summary>A single response.</summary>
    Response,

    /// <summary>Several responses.</summary>
    Responses,

    /// <summary>The better response or responses of a pair.</summary>
    Chosen,

    /// <summary>The worse response or responses of a pair.</summary>
    Rejected,

    /// <summary>The first response of a pair whose label says which is better.</summary>
    First,

    /// <summary>The second response of such a pair.</summary>
    Second,

    /// <summary>The label of such a pair.</summary>
    Label,

    /// <summary>The text with its template and special tokens.</summary>
    Text,

    /// <summary>The text as token ids.</summary>
    InputIds,

    /// <summary>A response as a list of steps, or several as a list of such lists.</summary>
    Steps,

    /// <summary>Indices of the steps' last tokens, beside token ids.</summary>
    StepPositions,
}

/// <summary>The fields in which an item's parts are looked for.</summary>
public sealed class ItemFields
{
    private static readonly Dictionary<ItemPart, string[]> Names = new()
    {
        [ItemPart.Messages] = ["messages", "conversations", "conversation"],
        [ItemPart.Prompt] = ["prompt", "instruction", "question", "query"],
        [ItemPart.Input] = ["input"],
        [ItemPart.System] = ["system", "system_prompt", "system_message"],
        [ItemPart.History] = ["history"],
        [ItemPart.Response] = ["response", "completion", "answer", "output"],
        [ItemPart.Responses] = ["responses", "completions", "answers", "outputs"],
        [ItemPart.Chosen] = ["chosen"],
        [ItemPart.Rejected] = ["rejected"],
        [ItemPart.Text] = ["text"],
        [ItemPart.InputIds] = ["input_ids"],
        [ItemPart.Steps] = ["steps"],
        [ItemPart.StepPositions] = ["step_positions"],
    };

    /// <summary>The field of messages before the responses, or of something else.</summary>
    internal const string Context = "context";

    private readonly Dictionary<ItemPart, string>? _map;

    private ItemFields(Dictionary<ItemPart, string>? map) => _map = map;

    /// <summary>The usual names.</summary>
    public static ItemFields Usual { get; } = new(null);

    /// <summary>The names of the parts, for a map.</summary>
    public static string Parts => string.Join(", ", Enum.GetValues<ItemPart>().Select(Word));

    /// <summary>Whether a map names the fields, so that no other field is a part of the item.</summary>
    public bool IsMap => _map is not null;

    /// <summary>Parses a map such as <c>prompt=problem,response=solution</c>. A field in an object is <c>object.field</c>.</summary>
    /// <exception cref="UsageException">A part does not exist, is named twice, or has no field.</exception>
    public static ItemFields Parse(string map)
    {
        ArgumentNullException.ThrowIfNull(map);
        Dictionary<ItemPart, string> parts = [];
        foreach (string entry in map.Split(','))
        {
            string[] halves = entry.Split('=', 2, StringSplitOptions.TrimEntries);
            if (halves is not [{ Length: > 0 } name, { Length: > 0 } field])
                throw new UsageException($"{Readable.Quoted(entry)} is not PART=FIELD, such as prompt=problem.");
            if (Part(name) is not { } part)
                throw new UsageException(
                    $"{Readable.Quoted(name)} is no part of an item. Parts are {Parts}.");
            if (!parts.TryAdd(part, field)) throw new UsageException($"{Word(part)} is named twice.");
        }

        return new ItemFields(parts);
    }

    /// <summary>Returns the fields of an item that hold a part, without those that are null.</summary>
    public IReadOnlyList<(string Name, JsonElement Value)> Find(JsonElement item, ItemPart part)
    {
        if (_map is not null)
            return _map.TryGetValue(part, out string? path) && At(item, path) is { } value ? [(path, value)] : [];
        List<(string Name, JsonElement Value)>? found = null;
        foreach (string name in Names.GetValueOrDefault(part, []))
        {
            if (item.TryGetProperty(name, out JsonElement field) && field.ValueKind != JsonValueKind.Null)
                (found ??= []).Add((name, field));
        }

        if (part == ItemPart.Prompt && MessagesBefore(item) is { } before) (found ??= []).Add((Context, before));
        return found is null ? [] : found;
    }

    /// <summary>
    /// Returns the context of an item where that is the messages before the responses, as in HelpSteer3; another context, such as
    /// documents, is none.
    /// </summary>
    internal static JsonElement? MessagesBefore(JsonElement item) =>
        item.TryGetProperty(Context, out JsonElement context) && MessageReader.IsList(context) ? context : null;

    /// <summary>Returns the part of an item that a field is; null if it is none.</summary>
    public ItemPart? PartOf(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (_map is not null)
        {
            foreach ((ItemPart part, string field) in _map)
                if (field == name) return part;
            return null;
        }

        foreach ((ItemPart part, string[] fields) in Names)
            if (fields.Contains(name)) return part;
        return LabeledPair.PartOf(name);
    }

    /// <summary>Whether an object has a field that is not null.</summary>
    public static bool IsGiven(JsonElement item, string name) =>
        item.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>Whether a value says anything: null, false, "", [] and objects of such values do not.</summary>
    public static bool HoldsAnything(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.Undefined or JsonValueKind.False => false,
        JsonValueKind.String => value.GetString()!.Length > 0,
        JsonValueKind.Array => value.EnumerateArray().Any(item => item.ValueKind != JsonValueKind.Null),
        JsonValueKind.Object => value.EnumerateObject().Any(property => HoldsAnything(property.Value)),
        _ => true,
    };

    /// <summary>Whether two values are equal, whatever their spelling.</summary>
    public static bool AreEqual(JsonElement a, JsonElement b)
    {
        try
        {
            return JsonElement.DeepEquals(a, b);
        }
        catch (Exception e) when (e is ArgumentOutOfRangeException or InvalidOperationException)
        {
            // .NET 10 cannot compare numbers with an exponent of more than 9 digits, nor names that are not Unicode.
            return a.GetRawText() == b.GetRawText();
        }
    }

    /// <summary>A part's name in a map.</summary>
    private static string Word(ItemPart part) => JsonNamingPolicy.SnakeCaseLower.ConvertName(part.ToString());

    private static ItemPart? Part(string name)
    {
        foreach (ItemPart part in Enum.GetValues<ItemPart>())
            if (Word(part) == name) return part;
        return null;
    }

    private static JsonElement? At(JsonElement item, string path)
    {
        if (IsGiven(item, path)) return item.GetProperty(path);
        JsonElement value = item;
        foreach (string name in path.Split('.'))
        {
            if (value.ValueKind != JsonValueKind.Object || !value.TryGetProperty(name, out value) || value.ValueKind == JsonValueKind.Null)
                return null;
        }

        return value;
    }
}
