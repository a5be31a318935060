using System.Text.Json;

namespace LdlVk.Runtime.Text.Jinja;

/// <summary>Values of JSON as a template sees them. Every string counts as a message's.</summary>
internal static class JsonValues
{
    /// <exception cref="JinjaException">The value is nested too deeply.</exception>
    public static object Of(JsonElement json)
    {
        RenderState.Descend();
        switch (json.ValueKind)
        {
            case JsonValueKind.String: return MarkedText.OfMessage(json.GetString()!);
            case JsonValueKind.True or JsonValueKind.False: return Python.Of(json.GetBoolean());
            case JsonValueKind.Number: return json.TryGetInt64(out long whole) ? (object)whole : json.GetDouble();
            case JsonValueKind.Array: return new ListValue([.. json.EnumerateArray().Select(Of)]);
            case JsonValueKind.Object:
                DictValue dict = new();
                foreach (JsonProperty property in json.EnumerateObject()) dict.Set(MarkedText.OfMessage(property.Name), Of(property.Value));
                return dict;
            default: return None.Value;
        }
    }
}
