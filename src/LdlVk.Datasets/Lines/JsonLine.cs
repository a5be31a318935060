using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;
using LdlVk.Runtime;
using LdlVk.Runtime.Text;

namespace LdlVk.Datasets.Lines;

/// <summary>Reads fields of one line; every error is an <see cref="InputException"/> that says what the field should be.</summary>
internal static class JsonLine
{
    /// <summary>Parses a line and hands it to <paramref name="read"/>; what goes wrong is handed to <paramref name="fail"/> with the line's id.</summary>
    public static T Read<T>(RawLine line, Func<JsonElement, string, T> read, Func<string, string, T> fail)
    {
        string id = line.Number.ToString(CultureInfo.InvariantCulture);
        try
        {
            if (line.TooLong) throw new InputException($"the line has more than {LineReader.LongestLine >> 20} MiB. Split its responses over several lines.");
            if (line.IsBlank) throw new InputException("the line is blank. Only the last line of a file may be.");
            if (!Utf8.IsValid(line.Bytes.Span)) throw new InputException("the line is not valid UTF-8. Save the file as UTF-8.");
            using JsonDocument json = JsonDocument.Parse(line.Bytes, new JsonDocumentOptions { AllowDuplicateProperties = false });
            JsonElement root = json.RootElement;
            if (root.ValueKind != JsonValueKind.Object) throw new InputException($"the line is {Kind(root)}, not an object {{…}}.");
            if (Find(root, "id") is { } given)
            {
                if (given.ValueKind is not (JsonValueKind.String or JsonValueKind.Number)) throw new InputException($"id is {Kind(given)}, not a string or a number.");
                id = given.GetRawText();
            }

            return read(root, id);
        }
        catch (InputException e)
        {
            return fail(id, e.Message);
        }
        catch (JsonException e)
        {
            return fail(id, $"the line is not valid JSON at byte {e.BytePositionInLine}: {Sentence(e.Message)}");
        }
        catch (InvalidOperationException)
        {
            // How System.Text.Json reports an escaped lone surrogate.
            return fail(id, "the line holds a string that is not valid Unicode: half of a surrogate pair.");
        }
    }

    /// <summary>A field; null if it is absent or null.</summary>
    public static JsonElement? Find(JsonElement root, string name) =>
        root.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    /// <summary>A value as a string.</summary>
    public static string String(JsonElement value, string name) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : throw new InputException($"{name} is {Kind(value)}, not a string.");

    /// <summary>The messages of a conversation. Whether their roles make sense is the template's to say.</summary>
    public static Message[] Messages(JsonElement value, string name = "messages")
    {
        var messages = new Message[Length(value, name)];
        int i = 0;
        foreach (JsonElement item in value.EnumerateArray())
        {
            string at = string.Create(CultureInfo.InvariantCulture, $"{name}[{i}]");
            if (item.ValueKind != JsonValueKind.Object) throw new InputException($"{at} is {Kind(item)}, not an object with role and content.");
            messages[i++] = new Message(Field(item, at, "role"), Field(item, at, "content"));
        }

        return messages;
    }

    /// <summary>Token ids. Whether they are in the vocabulary is the model's to say.</summary>
    public static int[] Ids(JsonElement value)
    {
        int[] ids = new int[Length(value, "input_ids")];
        int i = 0;
        foreach (JsonElement item in value.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt32(out ids[i])) throw new InputException($"input_ids[{i}] is {Kind(item)}, not a token id.");
            i++;
        }

        return ids;
    }

    /// <summary>Items of an array.</summary>
    public static int Length(JsonElement value, string name) =>
        value.ValueKind == JsonValueKind.Array ? value.GetArrayLength() : throw new InputException($"{name} is {Kind(value)}, not a list […].");

    private static string Field(JsonElement message, string at, string name) =>
        String(Find(message, name) ?? throw new InputException($"{at} has no {name}."), $"{at}.{name}");

    private static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => value.GetRawText() is { Length: <= 30 } number ? $"the number {number}" : "a number",
        _ => value.GetRawText(),
    };

    /// <summary>The message without the place, which .NET appends.</summary>
    private static string Sentence(string message) => message.Split(" LineNumber:")[0];
}
