using System.Globalization;
using System.Text.Json;

namespace LdlVk.Datasets.Items;

/// <summary>
/// Reads the fields of a JSON object, whether it is a line of a file or a request. An error says what the field is and what it should be;
/// the caller decides which exception that becomes.
/// </summary>
/// <param name="subject">What is read, as the subject of a sentence: "the line".</param>
/// <param name="wrong">Makes the exception for a field that is wrong, from a sentence.</param>
/// <param name="tooMany">Makes the exception for a list that is too long, from its name, its items, and the maximum.</param>
public sealed class JsonFields(string subject, Func<string, Exception> wrong, Func<string, int, int, Exception> tooMany)
{
    /// <summary>What is read, as the subject of a sentence.</summary>
    public string Subject => subject;

    /// <summary>The exception for what a sentence says is wrong.</summary>
    public Exception Error(string sentence) => wrong(sentence);

    /// <summary>The exception for a field that is something else than expected.</summary>
    public Exception Wrong(JsonElement value, string name, string expected) => wrong($"{name} is {Kind(value)}, not {expected}.");

    /// <summary>A field; null if it is absent or null.</summary>
    public JsonElement? Find(JsonElement root, string name) =>
        root.ValueKind == JsonValueKind.Object && root.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null
            ? value
            : null;

    /// <summary>A field that must be there.</summary>
    public JsonElement Get(JsonElement root, string name) => Find(root, name) ?? throw wrong($"The field {name} is missing.");

    /// <summary>The field <c>id</c> as JSON; null if it is absent.</summary>
    public string? Id(JsonElement root) => Find(root, "id") switch
    {
        null => null,
        { ValueKind: JsonValueKind.String or JsonValueKind.Number } id => id.GetRawText(),
        { } other => throw Wrong(other, "id", "a string or a number"),
    };

    /// <summary>A value as a string.</summary>
    public string String(JsonElement value, string name) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Wrong(value, name, "a string");

    /// <summary>A string that may be absent.</summary>
    public string? OptionalString(JsonElement root, string name) => Find(root, name) is { } value ? String(value, name) : null;

    /// <summary>true or false; <paramref name="otherwise"/> where it is absent.</summary>
    public bool Flag(JsonElement root, string name, bool otherwise = false) => Find(root, name) switch
    {
        null => otherwise,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } value => throw Wrong(value, name, "true or false"),
    };

    /// <summary>A whole number of at least <paramref name="min"/> that may be absent.</summary>
    public int? OptionalInteger(JsonElement root, string name, int min)
    {
        if (Find(root, name) is not { } value) return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= min
            ? number : throw Wrong(value, name, $"a whole number from {min} on");
    }

    /// <summary>The items of a list.</summary>
    public JsonElement.ArrayEnumerator List(JsonElement value, string name) =>
        value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : throw Wrong(value, name, "a list […]");

    /// <summary>The strings of a list of at most <paramref name="max"/>.</summary>
    public List<string> StringList(JsonElement value, string name, int max)
    {
        JsonElement.ArrayEnumerator items = List(value, name);
        CheckLength(value, name, max);
        List<string> strings = new(value.GetArrayLength());
        foreach (JsonElement item in items) strings.Add(String(item, $"{name}[{strings.Count}]"));
        return strings;
    }

    /// <summary>A string as a list of one, or a list of strings.</summary>
    public List<string> Strings(JsonElement value, string name, int max) =>
        value.ValueKind == JsonValueKind.String ? [value.GetString()!] : StringList(value, name, max);

    /// <summary>Token ids. Whether they are in the vocabulary is the model's to say.</summary>
    public int[] Ids(JsonElement value, string name)
    {
        JsonElement.ArrayEnumerator items = List(value, name);
        int[] ids = new int[value.GetArrayLength()];
        int i = 0;
        foreach (JsonElement item in items)
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt32(out ids[i])) throw Wrong(item, $"{name}[{i}]", "a token id");
            i++;
        }

        return ids;
    }

    /// <summary>The messages of a conversation. Whether their roles make sense is the template's to say.</summary>
    public Message[] Messages(JsonElement value, string name = "messages")
    {
        JsonElement.ArrayEnumerator items = List(value, name);
        var messages = new Message[value.GetArrayLength()];
        int i = 0;
        foreach (JsonElement item in items)
        {
            string at = string.Create(CultureInfo.InvariantCulture, $"{name}[{i}]");
            if (item.ValueKind != JsonValueKind.Object) throw Wrong(item, at, "an object with role and content");
            messages[i++] = new Message(Part(item, at, "role"), Part(item, at, "content"));
        }

        return messages;
    }

    /// <summary>Throws for a list of more than <paramref name="max"/> items, before anything is made of them.</summary>
    public void CheckLength(JsonElement value, string name, int max)
    {
        if (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > max) throw tooMany(name, value.GetArrayLength(), max);
    }

    /// <summary>How a message calls a value: "a list", "the number 3".</summary>
    public static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => value.GetRawText() is { Length: <= 30 } number ? $"the number {number}" : "a number",
        _ => value.GetRawText(),
    };

    private string Part(JsonElement message, string at, string name) =>
        String(Find(message, name) ?? throw wrong($"{at} has no {name}."), $"{at}.{name}");
}
