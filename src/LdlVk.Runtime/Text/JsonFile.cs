using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;

namespace LdlVk.Runtime.Text;

/// <summary>Reads a JSON file of a checkpoint; every error is a <see cref="CheckpointException"/> that names the file and the field.</summary>
internal static class JsonFile
{
    /// <summary>Files above this size are refused: the largest real ones are a few tens of MB, and a parsed file takes several times its size.</summary>
    private const long LargestFile = 128L << 20;

    /// <summary>Opens <paramref name="path"/>, hands its root to <paramref name="parse"/> and returns what that makes of it.</summary>
    internal static T Read<T>(string path, Func<JsonField, T> parse)
    {
        byte[] utf8 = ReadUtf8(path);
        try
        {
            // A name given twice would mean the first to one program and the last to another.
            using var document = JsonDocument.Parse(utf8, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return parse(new JsonField(path, "", document.RootElement));
        }
        catch (JsonException e)
        {
            throw new CheckpointException($"{path} is not sound JSON: {e.Message} Fetch the file again.", e);
        }
        catch (InvalidOperationException e) // how System.Text.Json reports an escaped lone surrogate
        {
            throw new CheckpointException($"{path} holds a string that is not Unicode: {e.Message} Fetch the file again.", e);
        }
    }

    /// <summary>The bytes of a text file, checked to be UTF-8.</summary>
    internal static byte[] ReadUtf8(string path)
    {
        byte[] bytes;
        try
        {
            if (!File.Exists(path))
                throw new CheckpointException($"{path} does not exist. A checkpoint's folder holds it beside the weights; copy it there.");
            long length = new FileInfo(path).Length;
            if (length > LargestFile)
                throw new CheckpointException($"{path} has {length} bytes, more than the {LargestFile} that are read. Is it the right file?");
            bytes = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path} cannot be read: {e.Message}", e);
        }
        if (!Utf8.IsValid(bytes))
            throw new CheckpointException($"{path} is not UTF-8 text. Fetch the file again.");
        return bytes;
    }
}

/// <summary>A value in a JSON file that knows its place, so that errors can name it.</summary>
internal readonly struct JsonField(string file, string name, JsonElement value)
{
    /// <summary>The value itself.</summary>
    internal JsonElement Value => value;

    /// <summary>Something is wrong with this field; <paramref name="why"/> is a clause that follows its name.</summary>
    internal CheckpointException Error(string why) => new($"{file}: {(name.Length == 0 ? "the file" : name)} {why}");

    /// <summary>A field of this object; absent and null are errors.</summary>
    internal JsonField Get(string key) => TryGet(key, out JsonField field) ? field : throw Member(key, default).Error("is missing.");

    /// <summary>A field of this object; absent and null give false.</summary>
    internal bool TryGet(string key, out JsonField field)
    {
        Expect(JsonValueKind.Object, "an object");
        bool found = value.TryGetProperty(key, out JsonElement element) && element.ValueKind != JsonValueKind.Null;
        field = Member(key, element);
        return found;
    }

    /// <summary>The members of this object, without their full names: cheap for hundreds of thousands.</summary>
    internal JsonElement.ObjectEnumerator Members() => Expect(JsonValueKind.Object, "an object").EnumerateObject();

    /// <summary>The items of this array, without their names: cheap for hundreds of thousands.</summary>
    internal JsonElement.ArrayEnumerator Items() => Expect(JsonValueKind.Array, "an array").EnumerateArray();

    /// <summary>An item of this array under its name, for <see cref="Items"/>' caller.</summary>
    internal JsonField Item(int index, JsonElement item) => new(file, $"{name}[{index}]", item);

    /// <summary>A member of this object under its name.</summary>
    internal JsonField Member(string key, JsonElement member) => new(file, name.Length == 0 ? key : $"{name}.{key}", member);

    /// <summary>This field as a string.</summary>
    internal string String() => Expect(JsonValueKind.String, "a string").GetString()!;

    /// <summary>This field as true or false.</summary>
    internal bool Boolean() => value.ValueKind is JsonValueKind.True or JsonValueKind.False
        ? value.GetBoolean() : throw Error($"is {Kind}, not true or false.");

    /// <summary>This field as a whole number in 0 … <paramref name="limit"/> − 1.</summary>
    internal int Integer(int limit)
    {
        Expect(JsonValueKind.Number, "a number");
        return value.TryGetInt32(out int number) && number >= 0 && number < limit
            ? number : throw Error($"is {Short(value.GetRawText())}, not a whole number in 0…{limit - 1}.");
    }

    /// <summary>A string of somebody's for an error message: quoted, control characters escaped, not longer than a line.</summary>
    internal static string Quote(string text) =>
        Short($"\"{JsonEncodedText.Encode(Utf16.Repair(text), JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"");

    private JsonElement Expect(JsonValueKind kind, string words) => value.ValueKind == kind ? value : throw Error($"is {Kind}, not {words}.");

    private static string Short(string text) => text.Length <= 80 ? text : $"{text.AsSpan(0, 80)}…";

    private string Kind => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        _ => "true or false",
    };
}
