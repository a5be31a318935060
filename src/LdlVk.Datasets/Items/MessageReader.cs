using System.Globalization;
using System.Text.Json;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Datasets.Items;

/// <summary>
/// Reads lists of messages: with <c>role</c> and <c>content</c>, with ShareGPT's <c>from</c> and <c>value</c>, or as one object of two
/// lists, which the library <c>datasets</c> makes of them. A field of a message that would change the text is an error.
/// </summary>
/// <param name="fields">Creates the errors.</param>
internal sealed class MessageReader(JsonFields fields)
{
    /// <summary>Fields that templates write into the text, and that no supported template takes.</summary>
    private static readonly string[] Unsupported =
        ["tool_calls", "function_call", "tool_call_id", "reasoning_content", "reasoning", "thinking"];

    /// <summary>Returns the messages of a list. The template checks their roles.</summary>
    public Message[] Read(JsonElement value, string name)
    {
        if (value.ValueKind == JsonValueKind.Object && Lists(value) is { } lists) return OfLists(value, lists, name);
        JsonElement.ArrayEnumerator items = fields.List(value, name);
        var messages = new Message[value.GetArrayLength()];
        int i = 0;
        foreach (JsonElement item in items) messages[i] = One(item, At(name, i++));
        return messages;
    }

    /// <summary>Returns one message.</summary>
    public Message One(JsonElement item, string at)
    {
        if (item.ValueKind != JsonValueKind.Object || JsonFields.IsBytes(item))
            throw fields.Wrong(item, at, "an object with role and content");
        Refuse(item, at);
        bool isShareGpt = fields.Find(item, "role") is null && fields.Find(item, "from") is not null;
        (string role, string content) = isShareGpt ? ("from", "value") : ("role", "content");
        string speaker = fields.String(Part(item, at, role), $"{at}.{role}");
        return new Message(
            isShareGpt ? ShareGptRole(speaker, $"{at}.from") : speaker, Content(Part(item, at, content), $"{at}.{content}"));
    }

    /// <summary>Whether a role is the assistant's, which some templates call the model's.</summary>
    public static bool IsAssistant(string role) => role is "assistant" or "model";

    /// <summary>Whether a value is a list of messages, or the object of lists that stands for one.</summary>
    public static bool IsList(JsonElement value) => value.ValueKind == JsonValueKind.Object
        ? Lists(value) is not null
        : value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > 0 && value[0].ValueKind == JsonValueKind.Object
            && (value[0].TryGetProperty("role", out _) || value[0].TryGetProperty("from", out _));

    /// <summary>
    /// Reads a content: a string, or OpenAI's list of parts, whose texts are joined by line breaks, as vLLM does for templates that take
    /// strings (<c>vllm/entrypoints/chat_utils.py</c>).
    /// </summary>
    private string Content(JsonElement value, string at)
    {
        if (value.ValueKind != JsonValueKind.Array) return fields.String(value, at);
        List<string> texts = [];
        foreach (JsonElement part in value.EnumerateArray())
        {
            string name = At(at, texts.Count);
            if (part.ValueKind == JsonValueKind.String)
            {
                texts.Add(part.GetString()!);
                continue;
            }

            if (part.ValueKind != JsonValueKind.Object) throw fields.Wrong(part, name, "a string or a part with type and text");
            string type = fields.OptionalString(part, "type") ?? "text";
            if (type is not ("text" or "input_text" or "output_text"))
                throw fields.Error($"{name} is a part of type {Readable.Quoted(type)}, and only text can be scored.");
            texts.Add(fields.String(Part(part, name, "text"), $"{name}.text"));
        }

        return string.Join('\n', texts);
    }

    private string ShareGptRole(string speaker, string at) => speaker switch
    {
        "human" or "user" => "user",
        "gpt" or "assistant" or "chatgpt" or "model" or "bot" or "bing" or "bard" => "assistant",
        "system" => "system",
        _ => throw fields.Error($"{at} is {Readable.Quoted(speaker)}. Known speakers are human, gpt and system."),
    };

    /// <summary>Refuses calls of tools.</summary>
    private void Refuse(JsonElement item, string at) =>
        fields.Refuse(item, Unsupported, name => $"{at} has {name}, and calls of tools are not supported.");

    private static (string Role, string Content)? Lists(JsonElement value)
    {
        foreach ((string role, string content) in ((string, string)[])[("role", "content"), ("from", "value")])
        {
            if (value.TryGetProperty(role, out JsonElement roles) && roles.ValueKind == JsonValueKind.Array
                && value.TryGetProperty(content, out JsonElement contents) && contents.ValueKind == JsonValueKind.Array)
                return (role, content);
        }

        return null;
    }

    private Message[] OfLists(JsonElement value, (string Role, string Content) names, string at)
    {
        JsonElement roles = value.GetProperty(names.Role), contents = value.GetProperty(names.Content);
        if (roles.GetArrayLength() != contents.GetArrayLength())
            throw fields.Error(
                $"{at}.{names.Role} has {roles.GetArrayLength()} items, and {at}.{names.Content} has {contents.GetArrayLength()}.");
        Refuse(value, at);
        var messages = new Message[roles.GetArrayLength()];
        for (int i = 0; i < messages.Length; i++)
        {
            string speaker = fields.String(roles[i], At($"{at}.{names.Role}", i));
            messages[i] = new Message(
                names.Role == "from" ? ShareGptRole(speaker, At($"{at}.from", i)) : speaker,
                Content(contents[i], At($"{at}.{names.Content}", i)));
        }

        return messages;
    }

    private JsonElement Part(JsonElement message, string at, string name) =>
        fields.Find(message, name) ?? throw fields.Error($"{at} has no {name}.");

    private static string At(string name, int i) => string.Create(CultureInfo.InvariantCulture, $"{name}[{i}]");
}
