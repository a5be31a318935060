using System.Text.Json;

namespace LdlVk.Runtime.Json;

/// <summary>A value in a JSON file with its path, so that errors can name the field.</summary>
internal readonly struct JsonField(string file, string name, JsonElement value)
{
    /// <summary>The value itself.</summary>
    public JsonElement Value => value;

    /// <summary>Whether the value is null. <see cref="TryGet"/> returns false both for null and for an absent field.</summary>
    public bool IsNull => value.ValueKind == JsonValueKind.Null;

    /// <summary>Description of the value for messages: its kind, or the value itself if it is short.</summary>
    public string Kind => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        _ => Shown.Short(value.GetRawText()),
    };

    /// <summary>
    /// Creates an error about this field. <paramref name="why"/> is the predicate of a sentence whose subject is the field's name, with its
    /// full stop, and advice.
    /// </summary>
    public CheckpointException Error(Notice why) => new((name.Length == 0 ? file : $"{file}: {name}") + " " + why);

    /// <summary>
    /// Creates an error about damage, with the advice to use the published file. <paramref name="why"/> is a predicate without a full stop.
    /// </summary>
    public CheckpointException Damaged(string why) => Error($"{why}. Use the file that was published with the weights.");

    /// <summary>Returns a field of this object; an absent field or null is an error.</summary>
    public JsonField Get(string key) => TryGet(key, out JsonField field) ? field : throw field.Damaged("is missing");

    /// <summary>Finds a field of this object; returns false if it is absent or null.</summary>
    public bool TryGet(string key, out JsonField field)
    {
        bool found = Expect(JsonValueKind.Object, "an object").TryGetProperty(key, out JsonElement element)
            && element.ValueKind != JsonValueKind.Null;
        field = Member(key, element);
        return found;
    }

    /// <summary>The members of this object, without full names, which keeps hundreds of thousands cheap.</summary>
    public JsonElement.ObjectEnumerator Members() => Expect(JsonValueKind.Object, "an object").EnumerateObject();

    /// <summary>The items of this array, without full names, which keeps hundreds of thousands cheap.</summary>
    public JsonElement.ArrayEnumerator Items() => Expect(JsonValueKind.Array, "an array").EnumerateArray();

    /// <summary>Gives an item from <see cref="Items"/> its full name.</summary>
    public JsonField Item(int index, JsonElement item) => new(file, $"{name}[{index}]", item);

    /// <summary>Gives a member of this object its full name; the name must be printable.</summary>
    public JsonField Member(string key, JsonElement member) => new(file, name.Length == 0 ? key : $"{name}.{key}", member);

    /// <summary>Returns the value as a string.</summary>
    public string String() => Expect(JsonValueKind.String, "a string").GetString()!;

    /// <summary>Returns the value as a Boolean.</summary>
    public bool Boolean() => value.ValueKind is JsonValueKind.True or JsonValueKind.False
        ? value.GetBoolean() : throw Damaged($"is {Kind}, not true or false");

    /// <summary>Returns the value as an integer in [<paramref name="min"/>, <paramref name="max"/>].</summary>
    public int Integer(int min, int max) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= min && number <= max
            ? number : throw Damaged($"is {Kind}, not an integer from {min} to {max:N0}");

    /// <summary>
    /// Returns the value as a finite number in [<paramref name="min"/>, <paramref name="max"/>]. 1e999, which parses as infinity, is out of
    /// every range.
    /// </summary>
    public double Number(double min, double max) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number >= min && number <= max
            ? number : throw Damaged($"is {Kind}, not a number from {min} to {max}");

    private JsonElement Expect(JsonValueKind kind, string words) =>
        value.ValueKind == kind ? value : throw Damaged($"is {Kind}, not {words}");
}
