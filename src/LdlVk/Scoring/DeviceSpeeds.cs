using System.Globalization;
using System.Security;
using System.Text;
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
    /// <summary>Some hundred bytes a line: more than all devices and drivers that a machine ever has.</summary>
    private const int MaxBytes = 1 << 20, MaxLines = 1000;

    /// <summary>Those of this machine, in the user's cache folder; tests put others here.</summary>
    public static DeviceSpeeds Default { get; set; } = new(DefaultPath, Measure);

    private static string? DefaultPath
    {
        get
        {
            string folder = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData,
                Environment.SpecialFolderOption.DoNotVerify);
            return folder.Length == 0 ? null : Path.Combine(folder, "ldlvk", "speeds.tsv");
        }
    }

    /// <summary>The speed of a device; null if it cannot be measured.</summary>
    public DeviceSpeed? Of(DeviceInfo device, WeightFormat weights)
    {
        string key = Key(device, weights);
        if (Read().TryGetValue(key, out DeviceSpeed known)) return known;
        if (measure(device, weights) is not { } measured) return null;
        Keep(key, measured);
        // As it is read the next time, so that the next plan is the same.
        return Parse(Line(key, measured))?.Speed ?? measured;
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

    private static string Key(DeviceInfo device, WeightFormat weights) =>
        string.Join('/',
            new[] { device.Name, device.Driver, device.Kernels, weights.ToString() }
                .Select(s => s.ReplaceLineEndings(" ").Replace('\t', ' ')));

    private static string Line(string key, DeviceSpeed speed) =>
        string.Create(CultureInfo.InvariantCulture, $"{key}\t{speed.OperationsPerSecond:G4}\t{speed.UploadBytesPerSecond:G4}\n");

    private static (string Key, DeviceSpeed Speed)? Parse(string line) =>
        line.Split('\t') is [string key, string operations, string bytes] && Rate(operations) is { } o && Rate(bytes) is { } b
            ? (key, new DeviceSpeed(o, b)) : null;

    private static double? Rate(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double rate) && rate is > 1e6 and < 1e18 ? rate : null;

    /// <summary>What the file says, line by line; what cannot be read counts as not there.</summary>
    private Dictionary<string, DeviceSpeed> Read()
    {
        Dictionary<string, DeviceSpeed> speeds = [];
        try
        {
            // What is no file, as a pipe, has no length, and opening it might wait for ever.
            if (path is null || !File.Exists(path) || new FileInfo(path).Length is 0 or > MaxBytes) return speeds;
            foreach (string line in File.ReadLines(path))
                if (Parse(line) is { } entry) speeds[entry.Key] = entry.Speed;
        }
        catch (Exception e) when (IsTrouble(e))
        {
            // It is measured again.
        }

        return speeds;
    }

    /// <summary>Writes a file of its own and moves it to its place: readers see the old one or the new one.</summary>
    private void Keep(string key, DeviceSpeed speed)
    {
        if (path is null) return;
        string temporary = $"{path}.{Guid.NewGuid():N}";
        try
        {
            IEnumerable<string> others = Read().Where(s => s.Key != key).Take(MaxLines - 1).Select(s => Line(s.Key, s.Value));
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(temporary, string.Concat(others.Prepend(Line(key, speed))), new UTF8Encoding(false));
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e) when (IsTrouble(e))
        {
            // It is measured again the next time.
            try { File.Delete(temporary); } catch (Exception d) when (IsTrouble(d)) { }
        }
    }

    private static bool IsTrouble(Exception e) =>
        e is IOException or UnauthorizedAccessException or SecurityException or ArgumentException or NotSupportedException;
}
