using System.Text.Json;
using LdlVk.Runtime.Text;
using LdlVk.Server.Http;

namespace LdlVk.Server.Protocols;

/// <summary>Reads the items of our own protocol, which look like the lines of <c>ldlvk score</c>.</summary>
internal static class Items
{
    private const string Forms = "Use messages; prompt and response; prompt and responses; or input_ids.";

    private static readonly string[] Names = ["messages", "prompt", "response", "responses", "input_ids"];

    /// <summary>What an item holds: its conversations, or token ids.</summary>
    /// <param name="Conversations">A conversation for each text; none if it has ids.</param>
    /// <param name="Ids">The one text's ids; null if it has conversations.</param>
    /// <param name="HasResponses">Whether it has a list of responses.</param>
    public sealed record Item(IReadOnlyList<Conversation> Conversations, int[]? Ids = null, bool HasResponses = false);

    /// <summary>Reads an item.</summary>
    public static Item Read(JsonElement item, int most)
    {
        if (item.ValueKind != JsonValueKind.Object) throw Fields.Wrong(item, "The item", "an object {…}");
        string[] given = [.. Names.Where(name => Fields.Find(item, name) is not null)];
        return given switch
        {
            ["messages"] => new Item([new Conversation(Messages(item.GetProperty("messages")))]),
            ["input_ids"] => new Item([], Fields.Ids(item.GetProperty("input_ids"), "input_ids")),
            ["prompt", "response"] => new Item([new Conversation(Prompt(item), Fields.String(item.GetProperty("response"), "response"))]),
            ["prompt", "responses"] => new Item(Responses(item, Prompt(item), most), HasResponses: true),
            [] => throw new RequestException(422, $"There is none of the known fields. {Forms}"),
            _ => throw new RequestException(422, $"There {(given.Length == 1 ? "is" : "are")} {string.Join(" and ", given)}, which {(given.Length == 1 ? "is not enough" : "do not go together")}. {Forms}"),
        };
    }

    /// <summary>The responses to a prompt, as conversations.</summary>
    public static List<Conversation> Responses(JsonElement item, string prompt, int most)
    {
        JsonElement responses = Fields.Get(item, "responses");
        if (responses.ValueKind == JsonValueKind.String) throw Fields.Wrong(responses, "responses", "a list […]");
        List<string> texts = Fields.Strings(responses, "responses", most);
        if (texts.Count == 0) throw new RequestException(422, "responses is empty.");
        return [.. texts.Select(response => new Conversation(prompt, response))];
    }

    /// <summary>The prompt.</summary>
    public static string Prompt(JsonElement item) => Fields.String(Fields.Get(item, "prompt"), "prompt");

    /// <summary>The messages of a conversation. Whether their roles make sense is the template's to say.</summary>
    public static List<Message> Messages(JsonElement value)
    {
        List<Message> messages = [];
        foreach (JsonElement item in Fields.List(value, "messages"))
        {
            string at = $"messages[{messages.Count}]";
            if (item.ValueKind != JsonValueKind.Object) throw Fields.Wrong(item, at, "an object with role and content");
            messages.Add(new Message(Field(item, at, "role"), Field(item, at, "content")));
        }

        return messages;
    }

    /// <summary>What the request says of special tokens in its messages; null if nothing.</summary>
    public static SpecialTokens? Typed(JsonElement body) => Fields.OptionalString(body, "special_tokens") switch
    {
        null => null,
        "text" => SpecialTokens.Text,
        "tokens" => SpecialTokens.Tokens,
        _ => throw Fields.Wrong(body.GetProperty("special_tokens"), "special_tokens", "\"text\" or \"tokens\""),
    };

    private static string Field(JsonElement message, string at, string name) =>
        Fields.String(Fields.Find(message, name) ?? throw new RequestException(422, $"{at} has no {name}."), $"{at}.{name}");
}
