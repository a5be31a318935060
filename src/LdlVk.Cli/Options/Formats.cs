using LdlVk.Cli.Output;
using LdlVk.Runtime;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cli.Options;

/// <summary>Lists of weight formats, as <c>fp16,int8</c>.</summary>
internal static class Formats
{
    /// <summary>Reads the value of a flag.</summary>
    /// <exception cref="UsageException">There is no such format.</exception>
    public static WeightFormat[] Read(string flag, string names) => [.. names.Split(',').Select(name =>
    {
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
            if (Text.Format(format) == name) return format;
        throw new UsageException($"{flag} {name}: there is only {string.Join(", ", Enum.GetValues<WeightFormat>().Select(Text.Format))}, or several with commas between them.");
    })];
}
