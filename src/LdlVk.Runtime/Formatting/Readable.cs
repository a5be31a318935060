using System.Globalization;

namespace LdlVk.Runtime.Formatting;

/// <summary>Writes numbers, devices and foreign texts as people read them, the same in every culture.</summary>
public static class Readable
{
    /// <summary>Bytes in GB, MB or kB (powers of ten, as drives and cards are sold).</summary>
    public static string Bytes(long bytes) => bytes switch
    {
        >= 1_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:F1} GB"),
        >= 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:F1} MB"),
        >= 1_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e3:F1} kB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes} bytes"),
    };

    /// <summary>A whole number with commas between the thousands.</summary>
    public static string Count(long count) => count.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>A score with two decimals.</summary>
    public static string Score(float score) => score.ToString("F2", CultureInfo.InvariantCulture);

    /// <summary>A number of things: <c>1 text</c>, <c>2 texts</c>.</summary>
    public static string Plural(long count, string thing) => count == 1 ? $"1 {thing}" : $"{Count(count)} {thing}s";

    /// <summary>A device with its product name.</summary>
    public static string Device(DeviceInfo device) => $"{device.Id} ({OneLine(device.Name)})";

    /// <summary>Devices with their product names.</summary>
    public static string Devices(IEnumerable<DeviceInfo> devices) => string.Join(" with ", devices.Select(Device));

    /// <summary>A text in quotes, on one line, cut at 100 characters.</summary>
    public static string Quoted(string text) => $"\"{OneLine(text, 100)}\"";

    /// <summary>The name of a weight format: <c>fp32</c>, <c>fp16</c>, <c>int8</c>, <c>int4</c>.</summary>
    public static string Name(WeightFormat format) => format.ToString().ToLowerInvariant();

    /// <summary>The name of a way to compute products: <c>auto</c>, <c>int8</c>.</summary>
    public static string Name(ComputeMode compute) => compute.ToString().ToLowerInvariant();

    /// <summary>
    /// A text on one line: control characters, which could also steer the reader's terminal, become spaces, and a text longer than
    /// <paramref name="width"/> characters is cut.
    /// </summary>
    public static string OneLine(string text, int width = int.MaxValue)
    {
        string line = string.Create(Math.Min(text.Length, width), text, static (to, from) =>
        {
            for (int i = 0; i < to.Length; i++) to[i] = char.IsControl(from[i]) ? ' ' : from[i];
        });
        if (line.Length == text.Length) return line;
        int end = line.Length - 1;
        if (end > 0 && char.IsHighSurrogate(line[end - 1])) end--;
        return $"{line.AsSpan(0, end)}…";
    }
}
