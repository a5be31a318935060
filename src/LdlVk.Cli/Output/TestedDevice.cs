using System.Text.Json;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.SelfTest;

namespace LdlVk.Cli.Output;

/// <summary>What a self-test found out about a device.</summary>
/// <param name="Quick">Whether it was the quick one.</param>
/// <param name="Kernels">By kinds of kernels, those that the device would run first.</param>
/// <param name="Description">All that the driver tells; null where there is nothing to tell.</param>
internal sealed record TestedDevice(bool Quick, IReadOnlyList<TestedKernels> Kernels, JsonElement? Description)
{
    /// <summary>Whether all checks passed.</summary>
    public bool IsRight => Kernels.All(kernels => kernels.Faults.Count == 0);
}

/// <summary>What a device's kernels of one kind did.</summary>
/// <param name="Device">The device with these kernels.</param>
/// <param name="Checks">The checks.</param>
internal sealed record TestedKernels(DeviceInfo Device, IReadOnlyList<CheckResult> Checks)
{
    /// <summary>Measured rates of products and uploads, by the format of the weights; empty where none were measured.</summary>
    public IReadOnlyDictionary<WeightFormat, DeviceSpeed> Speeds { get; init; } = new Dictionary<WeightFormat, DeviceSpeed>();

    /// <summary>How near products come to the device's limits; null where that was not measured.</summary>
    public DeviceRates? Rates { get; init; }

    /// <summary>What the driver says of kernels that it compiled.</summary>
    public IReadOnlyList<KernelStatistics> Statistics { get; init; } = [];

    /// <summary>Whether the first rate, measured again at the end, was another.</summary>
    public bool Busy { get; init; }

    /// <summary>The checks that failed.</summary>
    public IReadOnlyList<CheckResult> Faults => [.. Checks.Where(check => check.Fault is not null)];
}

/// <summary>What a driver tells about itself, kept until it is written: the device is closed by then.</summary>
internal static class DeviceDescription
{
    /// <summary>Asks a device; null where there is nothing to ask.</summary>
    public static JsonElement? Of(IDevice device)
    {
        if (device is not ISelfTestedDevice known) return null;
        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream))
        {
            json.WriteStartObject();
            known.Describe(json);
            json.WriteEndObject();
        }

        using JsonDocument document = JsonDocument.Parse(stream.ToArray());
        return document.RootElement.Clone();
    }
}
