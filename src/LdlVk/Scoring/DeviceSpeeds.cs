using System.Globalization;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;

namespace LdlVk.Scoring;

/// <summary>
/// How fast the devices of this machine are, measured once for each driver and weight format and kept in a file: a plan that depends on it
/// is then the same from run to run. The file is a shortcut: a missing, damaged or unwritable one costs time at most.
/// </summary>
/// <param name="path">The file; null to keep nothing.</param>
/// <param name="measure">Measures a device; null if that cannot be done.</param>
internal sealed class DeviceSpeeds(string? path, Func<DeviceInfo, WeightFormat, DeviceSpeed?> measure)
{
    private readonly KeptFacts _kept = new(path);

    /// <summary>Those of this machine, in the user's cache folder; tests put others here.</summary>
    public static DeviceSpeeds Default { get; set; } = new(KeptFacts.PathOf("speeds.tsv"), Measure);

    /// <summary>The speed of a device; null if it cannot be measured.</summary>
    public DeviceSpeed? Of(DeviceInfo device, WeightFormat weights)
    {
        string key = KeptFacts.Key(device, weights.ToString());
        if (_kept.Find(key) is { } line && Parse(line) is { } known) return known;
        if (measure(device, weights) is not { } measured) return null;
        string kept = string.Create(CultureInfo.InvariantCulture, $"{measured.OperationsPerSecond:G4}\t{measured.UploadBytesPerSecond:G4}");
        _kept.Keep(key, kept);
        // As it is read the next time, so that the next plan is the same.
        return Parse(kept) ?? measured;
    }

    private static DeviceSpeed? Measure(DeviceInfo device, WeightFormat weights)
    {
        try
        {
            using IDevice opened = ComputeDevices.Open(device);
            return SpeedProbe.Measure(opened, weights);
        }
        catch (DeviceException)
        {
            return null;
        }
    }

    private static DeviceSpeed? Parse(string line) =>
        line.Split('\t') is [string operations, string bytes] && Rate(operations) is { } o && Rate(bytes) is { } b
            ? new DeviceSpeed(o, b) : null;

    private static double? Rate(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double rate) && rate is > 1e6 and < 1e18 ? rate : null;
}
