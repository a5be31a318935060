using System.Text.Json;

namespace LdlVk.Runtime.Json;

/// <summary>A value in a JSON file that knows its place, so that errors can name it.</summary>
internal readonly struct JsonField(string file, string name, JsonElement value)
{
    /// <summary>The value itself.</summary>
    public JsonElement Value => value;

    /// <summary>Whether this is null, which is not absent: <see cref="TryGet"/> is false for both.</summary>
    public bool IsNull => value.ValueKind == JsonValueKind.Null;

    /// <summary>How a message calls the value: its kind, or the value itself where that is short.</summary>
    public string Kind => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        _ => Shown.Short(value.GetRawText()),
    };

    /// <summary>
    /// Something is wrong with this field; <paramref name="why"/> is a clause that follows its name, with a full stop and advice.
    /// </summary>
    public CheckpointException Error(Notice why) => new((name.Length == 0 ? file : $"{file}: {name}") + " " + why);

    /// <summary>
    /// The same for what no published file has, with the advice to use that one; <paramref name="why"/> is without a full stop.
    /// </summary>
    public CheckpointException Damaged(string why) => Error($"{why}. Use the file that was published with the weights.");

    /// <summary>A field of this object; absent and null are errors.</summary>
    public JsonField Get(string key) => TryGet(key, out JsonField field) ? field : throw field.Damaged("is missing");

    /// <summary>A field of this object; absent and null give false.</summary>
    public bool TryGet(string key, out JsonField field)
    {
        bool found = Expect(JsonValueKind.Object, "an object").TryGetProperty(key, out JsonElement element)
            && element.ValueKind != JsonValueKind.Null;
        field = Member(key, element);
        return found;
    }

    /// <summary>The members of this object, without their full names: cheap for hundreds of thousands.</summary>
    public JsonElement.ObjectEnumerator Members() => Expect(JsonValueKind.Object, "an object").EnumerateObject();

    /// <summary>The items of this array, without their names: cheap for hundreds of thousands.</summary>
    public JsonElement.ArrayEnumerator Items() => Expect(JsonValueKind.Array, "an array").EnumerateArray();

    /// <summary>An item of this array under its name, for <see cref="Items"/>' caller.</summary>
    public JsonField Item(int index, JsonElement item) => new(file, $"{name}[{index}]", item);

    /// <summary>A member of this object under its name, which must be fit to be shown.</summary>
    public JsonField Member(string key, JsonElement member) => new(file, name.Length == 0 ? key : $"{name}.{key}", member);

    /// <summary>This field as a string.</summary>
    public string String() => Expect(JsonValueKind.String, "a string").GetString()!;

    /// <summary>This field as true or false.</summary>
    public bool Boolean() => value.ValueKind is JsonValueKind.True or JsonValueKind.False
        ? value.GetBoolean() : throw Damaged($"is {Kind}, not true or false");

    /// <summary>This field as an integer in <paramref name="least"/> … <paramref name="most"/>.</summary>
    public int Integer(int least, int most) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= least && number <= most
            ? number : throw Damaged($"is {Kind}, not an integer from {least} to {most:N0}");

    /// <summary>
    /// This field as a finite number in <paramref name="least"/> … <paramref name="most"/>; 1e999, which reads as infinity, is in no range.
    /// </summary>
    public double Number(double least, double most) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number >= least && number <= most
            ? number : throw Damaged($"is {Kind}, not a number from {least} to {most}");

    private JsonElement Expect(JsonValueKind kind, string words) =>
        value.ValueKind == kind ? value : throw Damaged($"is {Kind}, not {words}");
}
