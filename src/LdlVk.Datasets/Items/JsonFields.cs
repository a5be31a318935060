using System.Text;
using System.Text.Json;

namespace LdlVk.Datasets.Items;

/// <summary>
/// Reads the fields of a JSON object, such as a line of a file or a request. The message of an error names the actual and the expected
/// value; the caller chooses the type of the exception.
/// </summary>
/// <param name="subject">Name of the object as the subject of a sentence, such as "the line".</param>
/// <param name="wrong">Creates the exception for an invalid field, from a sentence.</param>
/// <param name="tooMany">Creates the exception for a list that is too long, from its name, its length, and the maximum.</param>
public sealed class JsonFields(string subject, Func<string, Exception> wrong, Func<string, int, int, Exception> tooMany)
{
    private const string Bytes = "bytes that are not UTF-8";

    /// <summary>
    /// What a table's bytes are as JSON if they are no text: an object, which is ignored where the field is, and an error where a text is
    /// read.
    /// </summary>
    internal static readonly byte[] BytesMark = Encoding.UTF8.GetBytes($$"""{"{{Bytes}}":true}""");

    /// <summary>Name of the object as the subject of a sentence.</summary>
    public string Subject => subject;

    /// <summary>Creates an exception from a sentence.</summary>
    public Exception Error(string sentence) => wrong(sentence);

    /// <summary>Creates the exception for a field with an unexpected value.</summary>
    public Exception Wrong(JsonElement value, string name, string expected) => wrong($"{name} is {Kind(value)}, not {expected}.");

    /// <summary>Returns a field; null if it is absent or null.</summary>
    public JsonElement? Find(JsonElement root, string name) =>
        root.ValueKind == JsonValueKind.Object && root.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null
            ? value
            : null;

    /// <summary>Returns a required field.</summary>
    public JsonElement Get(JsonElement root, string name) => Find(root, name) ?? throw wrong($"The field {name} is missing.");

    /// <summary>Returns the field <c>id</c> as JSON; null if it is absent.</summary>
    public string? Id(JsonElement root) => Find(root, "id") switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } id => IsUnicode(id) ? id.GetRawText()
            : throw wrong("id is a string that is not valid Unicode: it has half of a surrogate pair."),
        { ValueKind: JsonValueKind.Number } id => id.GetRawText(),
        { } other => throw Wrong(other, "id", "a string or a number"),
    };

    /// <summary>Whether a string has no escaped half of a surrogate pair, which no text in memory and no output can hold.</summary>
    private static bool IsUnicode(JsonElement value)
    {
        try
        {
            return value.GetString() is not null;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>Returns a value as a string.</summary>
    public string String(JsonElement value, string name) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Wrong(value, name, "a string");

    /// <summary>Returns an optional string.</summary>
    public string? OptionalString(JsonElement root, string name) => Find(root, name) is { } value ? String(value, name) : null;

    /// <summary>Returns an optional Boolean; <paramref name="otherwise"/> if it is absent.</summary>
    public bool Flag(JsonElement root, string name, bool otherwise = false) => Find(root, name) switch
    {
        null => otherwise,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } value => throw Wrong(value, name, "true or false"),
    };

    /// <summary>Returns an optional integer of at least <paramref name="min"/>.</summary>
    public int? OptionalInteger(JsonElement root, string name, int min)
    {
        if (Find(root, name) is not { } value) return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= min
            ? number : throw Wrong(value, name, $"a whole number from {min} on");
    }

    /// <summary>Returns the items of a list.</summary>
    public JsonElement.ArrayEnumerator List(JsonElement value, string name) =>
        value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : throw Wrong(value, name, "a list […]");

    /// <summary>Returns the strings of a list of at most <paramref name="max"/> items.</summary>
    public List<string> StringList(JsonElement value, string name, int max)
    {
        JsonElement.ArrayEnumerator items = List(value, name);
        CheckLength(value, name, max);
        List<string> strings = new(value.GetArrayLength());
        foreach (JsonElement item in items) strings.Add(String(item, $"{name}[{strings.Count}]"));
        return strings;
    }

    /// <summary>Returns a list of strings, or a single string as a list.</summary>
    public List<string> Strings(JsonElement value, string name, int max) =>
        value.ValueKind == JsonValueKind.String ? [value.GetString()!] : StringList(value, name, max);

    /// <summary>Returns token ids. The model checks that they are in the vocabulary.</summary>
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

    /// <summary>Returns the messages of a conversation. The template checks their roles.</summary>
    public Message[] Messages(JsonElement value, string name = "messages") => new MessageReader(this).Read(value, name);

    /// <summary>
    /// Throws for a field that would change the text and is not supported. One that is empty, as tables have it, is none.
    /// </summary>
    /// <param name="root">The object.</param>
    /// <param name="names">The fields.</param>
    /// <param name="why">Creates the sentence for a field.</param>
    public void Refuse(JsonElement root, IEnumerable<string> names, Func<string, string> why)
    {
        ArgumentNullException.ThrowIfNull(names);
        ArgumentNullException.ThrowIfNull(why);
        foreach (string name in names)
            if (root.TryGetProperty(name, out JsonElement value) && ItemFields.HoldsAnything(value)) throw wrong(why(name));
    }

    /// <summary>Throws for a list of more than <paramref name="max"/> items, before they are read.</summary>
    public void CheckLength(JsonElement value, string name, int max)
    {
        if (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() > max) throw tooMany(name, value.GetArrayLength(), max);
    }

    /// <summary>Whether an object stands for a table's bytes that are no text.</summary>
    internal static bool IsBytes(JsonElement item) => item.TryGetProperty(Bytes, out _);

    /// <summary>Describes a value for messages, such as "a list" or "the number 3".</summary>
    public static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => IsBytes(value) ? Bytes : "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => value.GetRawText() is { Length: <= 30 } number ? $"the number {number}" : "a number",
        _ => value.GetRawText(),
    };
}
