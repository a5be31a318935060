using LdlVk.Runtime;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cli.Options;

/// <summary>Lists of weight formats, as <c>fp16,int8</c>.</summary>
internal static class Formats
{
    /// <summary>Reads a format that a folder can be converted to.</summary>
    /// <exception cref="UsageException">There is no such format.</exception>
    public static WeightFormat ReadConvertible(string name) => name switch
    {
        "fp16" => WeightFormat.Fp16,
        "int8" => WeightFormat.Int8,
        "int4" => WeightFormat.Int4,
        _ => throw new UsageException($"--weights {name}: there is only fp16, int8, int4."),
    };

    /// <summary>Reads the value of a flag.</summary>
    /// <exception cref="UsageException">There is no such format.</exception>
    public static WeightFormat[] Read(string flag, string names) => [.. names.Split(',').Select(name =>
    {
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
            if (Readable.Name(format) == name) return format;
        throw new UsageException($"{flag} {name}: there is only {string.Join(", ", Enum.GetValues<WeightFormat>().Select(Readable.Name))}, or several with commas between them.");
    })];
}
