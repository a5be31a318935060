using LdlVk.Runtime.Formatting;

namespace LdlVk.Benchmarking;

/// <summary>Reads lists of weight formats, such as <c>fp16,int8</c>.</summary>
public static class WeightFormatList
{
    /// <summary>Reads the formats in their order.</summary>
    /// <exception cref="UsageException">A name is not a format. The message begins with that name.</exception>
    public static WeightFormat[] Parse(string names) => [.. names.Split(',').Select(name =>
    {
        WeightFormat[] formats = Enum.GetValues<WeightFormat>();
        foreach (WeightFormat format in formats)
            if (Readable.Name(format) == name) return format;
        throw new UsageException(
            $"{name}: there is only {string.Join(", ", formats.Select(Readable.Name))}, or several with commas between them.");
    })];
}
