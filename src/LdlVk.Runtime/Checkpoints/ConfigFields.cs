using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// The fields of a config.json. Every number has bounds far beyond any real model, so that no product of two of them overflows later;
/// what would change the arithmetic in a way that is not implemented is refused.
/// </summary>
internal sealed class ConfigFields(JsonField root)
{
    /// <summary>The object that holds the fields.</summary>
    public JsonField Root => root;

    /// <summary>Whether a conversion wrote the file; weights that were quantized in any other way are refused.</summary>
    /// <exception cref="CheckpointException">Another tool quantized the weights.</exception>
    public bool IsConverted()
    {
        if (!root.TryGet(ConvertedFormat.ConfigField, out JsonField quantized)) return false;
        JsonField method = quantized.Get(ConvertedFormat.MethodField);
        return method.String() == ConvertedFormat.Method
            ? true
            : throw method.Error(
                $"is {method.Kind}; supported are weights that are not quantized, "
                + $"and those that ldlvk convert wrote (\"{ConvertedFormat.Method}\").");
    }

    /// <summary>Refuses an activation other than the architecture's, in the first of some fields that is there.</summary>
    public void RequireActivation(string activation, params ReadOnlySpan<string> fields)
    {
        foreach (string name in fields)
        {
            if (!root.TryGet(name, out JsonField field)) continue;
            if (field.String() != activation) throw Unsupported(field, activation);
            return;
        }
    }

    /// <summary>Refuses flags that are set.</summary>
    public void RequireFalse(params ReadOnlySpan<string> flags)
    {
        foreach (string flag in flags)
            if (root.TryGet(flag, out JsonField set) && set.Boolean()) throw Unsupported(set, "false");
    }

    /// <summary>Whether a field is there and null.</summary>
    public bool IsNull(string field) => !root.TryGet(field, out JsonField found) && found.IsNull;

    /// <summary>A whole number; the default is for what is absent, a null is refused.</summary>
    public int Integer(string field, int least, int most, int absent) =>
        root.TryGet(field, out JsonField found) || found.IsNull ? found.Integer(least, most) : absent;

    /// <summary>A number, likewise.</summary>
    public double Number(string field, double least, double most, double absent) => Number(root, field, least, most, absent);

    /// <summary>A number, likewise, of an object within the file.</summary>
    public static double Number(JsonField parent, string field, double least, double most, double absent) =>
        parent.TryGet(field, out JsonField found) || found.IsNull ? found.Number(least, most) : absent;

    /// <summary>A field for an error about it, whether it is there or has its default.</summary>
    public JsonField Field(string name) => root.Member(name, default);

    /// <summary>The error for a field that asks for something that is not supported.</summary>
    public static CheckpointException Unsupported(JsonField field, string supported) =>
        field.Error($"is {field.Kind}; only {supported} is supported.");
}
