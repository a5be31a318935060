using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// Reads the fields of a config.json. Every number has a limit far beyond any real model, so that no later product of two of them
/// overflows. A field that asks for arithmetic that is not implemented is an error.
/// </summary>
internal sealed class ConfigFields(JsonField root)
{
    /// <summary>The object that holds the fields.</summary>
    public JsonField Root => root;

    /// <summary>Whether <c>ldlvk convert</c> wrote the file. Weights quantized by other tools are an error.</summary>
    /// <exception cref="CheckpointException">Another tool quantized the weights.</exception>
    public bool IsConverted()
    {
        if (!root.TryGet(ConvertedFormat.ConfigField, out JsonField quantized)) return false;
        if (!quantized.TryGet(ConvertedFormat.MethodField, out JsonField method))
            throw quantized.Error(
                $"is there, but says no {ConvertedFormat.MethodField}: another tool quantized the weights. {OtherFolder.Original}");
        if (Fp8Scheme.Methods.Contains(method.String())) return false;
        return method.String() == ConvertedFormat.Method
            ? true
            : throw method.Error(
                $"is {method.Kind}: the weights were quantized by {Quantizer(method.String())}. Supported are weights that are not "
                + $"quantized, fp8, and those that ldlvk convert wrote (\"{ConvertedFormat.Method}\"). {OtherFolder.Original}");
    }

    private static string Quantizer(string method) => method switch
    {
        "gptq" => "GPTQ",
        "awq" => "AWQ",
        "bitsandbytes" => "bitsandbytes",
        _ => "another tool",
    };

    /// <summary>Throws if one of the flags is set.</summary>
    public void RequireFalse(params ReadOnlySpan<string> flags)
    {
        foreach (string flag in flags)
            if (root.TryGet(flag, out JsonField set) && set.Boolean()) throw Unsupported(set, "false");
    }

    /// <summary>Whether a flag exists and is true.</summary>
    public bool IsSet(string flag) => root.TryGet(flag, out JsonField set) && set.Boolean();

    /// <summary>Whether a field exists and is null.</summary>
    public bool IsNull(string field) => !root.TryGet(field, out JsonField found) && found.IsNull;

    /// <summary>Returns an integer, or the default if the field is absent or null.</summary>
    public int Integer(string field, int least, int most, int absent) =>
        root.TryGet(field, out JsonField found) ? found.Integer(least, most) : absent;

    /// <summary>Returns a number, or the default if the field is absent or null.</summary>
    public double Number(string field, double least, double most, double absent) => Number(root, field, least, most, absent);

    /// <summary>Returns a number of a nested object, or the default if the field is absent or null.</summary>
    public static double Number(JsonField parent, string field, double least, double most, double absent) =>
        parent.TryGet(field, out JsonField found) ? found.Number(least, most) : absent;

    /// <summary>Returns a field for an error about it, whether it exists or has its default.</summary>
    public JsonField Field(string name) => root.Member(name, default);

    /// <summary>Creates the error for a field with an unsupported value.</summary>
    public static CheckpointException Unsupported(JsonField field, string supported) =>
        field.Error($"is {field.Kind}; only {supported} is supported.");
}
