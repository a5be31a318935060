using System.Text.Json;

namespace LdlVk.Datasets.Items;

/// <summary>The names of an item's fields.</summary>
/// <param name="Messages">The conversation, a list of messages.</param>
/// <param name="Prompt">The user's message.</param>
/// <param name="Response">A single response.</param>
/// <param name="Responses">Several responses.</param>
/// <param name="Ids">The text as token ids.</param>
public sealed record ItemNames(
    string Messages = "messages",
    string Prompt = "prompt",
    string Response = "response",
    string Responses = "responses",
    string Ids = "input_ids");

/// <summary>
/// Reads an item from a line of a file, a row of Parquet or a request. Unknown fields are ignored.
/// </summary>
/// <param name="fields">Reads the fields and creates the errors.</param>
/// <param name="names">The fields' names; null for the default names.</param>
public sealed class ItemReader(JsonFields fields, ItemNames? names = null)
{
    private readonly ItemNames _names = names ?? new ItemNames();

    /// <summary>Reads an item.</summary>
    /// <param name="item">The object.</param>
    /// <param name="maxResponses">Maximum number of responses.</param>
    public Item Read(JsonElement item, int maxResponses)
    {
        if (item.ValueKind != JsonValueKind.Object) throw fields.Wrong(item, fields.Subject, "an object {…}");
        ItemNames n = _names;
        string[] given =
            [.. ((string[])[n.Messages, n.Prompt, n.Response, n.Responses, n.Ids]).Where(name => fields.Find(item, name) is not null)];
        if (given.SequenceEqual([n.Messages]))
            return new Item { Conversations = [new Conversation(fields.Messages(item.GetProperty(n.Messages), n.Messages))] };
        if (given.SequenceEqual([n.Ids])) return new Item { Ids = fields.Ids(item.GetProperty(n.Ids), n.Ids) };
        if (given.SequenceEqual([n.Prompt, n.Response]))
            return Item.Of(Prompt(item), [fields.String(item.GetProperty(n.Response), n.Response)]) with { HasResponses = false };
        if (given.SequenceEqual([n.Prompt, n.Responses])) return ReadResponses(item, maxResponses);
        string forms = $"Use {n.Messages}; {n.Prompt} and {n.Response}; {n.Prompt} and {n.Responses}; or {n.Ids}.";
        throw fields.Error(given.Length == 0
            ? $"{fields.Subject} has none of the known fields. {forms}"
            : $"{fields.Subject} has {string.Join(" and ", given)}, "
                + $"which {(given.Length == 1 ? "is not enough" : "do not go together")}. {forms}");
    }

    /// <summary>Reads an item that has a prompt and several responses.</summary>
    /// <param name="item">The object.</param>
    /// <param name="maxResponses">Maximum number of responses.</param>
    public Item ReadResponses(JsonElement item, int maxResponses)
    {
        string prompt = Prompt(item);
        List<string> responses = fields.StringList(fields.Get(item, _names.Responses), _names.Responses, maxResponses);
        return responses.Count > 0 ? Item.Of(prompt, responses) : throw fields.Error($"{_names.Responses} is empty.");
    }

    /// <summary>Reads the prompt, which is required.</summary>
    public string Prompt(JsonElement item) => fields.String(fields.Get(item, _names.Prompt), _names.Prompt);
}
