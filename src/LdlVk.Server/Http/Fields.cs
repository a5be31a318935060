using System.Text.Json;

namespace LdlVk.Server.Http;

/// <summary>Reads fields of a request; what is wrong is a <see cref="RequestException"/> that says what the field should be.</summary>
internal static class Fields
{
    /// <summary>A field; null if it is absent or null.</summary>
    public static JsonElement? Find(JsonElement root, string name) =>
        root.ValueKind == JsonValueKind.Object && root.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    /// <summary>A field that must be there.</summary>
    public static JsonElement Get(JsonElement root, string name) => Find(root, name) ?? throw new RequestException(422, $"The field {name} is missing.");

    /// <summary>A value as a string.</summary>
    public static string String(JsonElement value, string name) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Wrong(value, name, "a string");

    /// <summary>A string that may be absent.</summary>
    public static string? OptionalString(JsonElement root, string name) => Find(root, name) is { } value ? String(value, name) : null;

    /// <summary>true or false, or false where it is absent.</summary>
    public static bool Flag(JsonElement root, string name, bool otherwise = false) => Find(root, name) switch
    {
        null => otherwise,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } value => throw Wrong(value, name, "true or false"),
    };

    /// <summary>A whole number that may be absent.</summary>
    public static int? OptionalInteger(JsonElement root, string name, int least)
    {
        if (Find(root, name) is not { } value) return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= least
            ? number : throw Wrong(value, name, $"a whole number from {least} on");
    }

    /// <summary>The items of a list.</summary>
    public static JsonElement.ArrayEnumerator List(JsonElement value, string name) =>
        value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : throw Wrong(value, name, "a list […]");

    /// <summary>A string as a list of one, or a list of strings.</summary>
    public static List<string> Strings(JsonElement value, string name, int most)
    {
        if (value.ValueKind == JsonValueKind.String) return [value.GetString()!];
        CheckLength(value, name, most);
        List<string> strings = [];
        foreach (JsonElement item in List(value, name)) strings.Add(String(item, $"{name}[{strings.Count}]"));
        return strings;
    }

    /// <summary>Token ids. Whether they are in the vocabulary is the model's to say.</summary>
    public static int[] Ids(JsonElement value, string name)
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

    /// <summary>Throws for a list with more items than a request may have texts: before anything is made of them.</summary>
    public static void CheckLength(JsonElement value, string name, int most)
    {
        if (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > most)
            throw new RequestException(413, $"{name} has {value.GetArrayLength()} items; a request has at most {most}. Send several requests.");
    }

    /// <summary>A field that is something else than it should be.</summary>
    public static RequestException Wrong(JsonElement value, string name, string expected) => new(422, $"{name} is {Kind(value)}, not {expected}.");

    /// <summary>How a message calls a value.</summary>
    public static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => value.GetRawText() is { Length: <= 30 } number ? $"the number {number}" : "a number",
        _ => value.GetRawText(),
    };
}
