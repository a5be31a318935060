using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Formatting;
using LdlVk.SelfTest;

namespace LdlVk.Cli.Output;

/// <summary>What a device's kernels of one kind did.</summary>
/// <param name="Device">The device with these kernels.</param>
/// <param name="Checks">The checks.</param>
/// <param name="Speeds">Measured rates of products and uploads, by the format of the weights; empty where none were measured.</param>
/// <param name="Busy">Whether the first rate, measured again at the end, was another.</param>
internal sealed record TestedKernels(
    DeviceInfo Device, IReadOnlyList<CheckResult> Checks, IReadOnlyDictionary<WeightFormat, DeviceSpeed> Speeds, bool Busy)
{
    /// <summary>The checks that failed.</summary>
    public IReadOnlyList<CheckResult> Faults => [.. Checks.Where(check => check.Fault is not null)];
}

/// <summary>The result of <c>ldlvk selftest</c>, for people and as JSON.</summary>
internal static class SelfTestReport
{
    /// <summary>Faults of a kind of kernels that are shown; the JSON has all.</summary>
    private const int Shown = 5;

    /// <summary>Shows it on one screen.</summary>
    public static void Show(IReadOnlyList<TestedKernels> tested, Screen screen)
    {
        DeviceInfo device = tested[0].Device;
        screen.Line($"[bold]{Screen.Safe(Readable.Device(device))}[/], {Screen.Safe(device.Driver)}");
        screen.Line($"  {Screen.Safe(string.Join(", ", device.Features))}");
        foreach (TestedKernels kernels in tested)
        {
            string result = kernels.Faults.Count == 0
                ? string.Create(CultureInfo.InvariantCulture,
                    $"{kernels.Checks.Count} checks passed in {kernels.Checks.Sum(c => c.Seconds):F1} s; "
                    + $"the largest error is {kernels.Checks.Max(c => c.Worst):P0} of what is allowed")
                : $"{kernels.Faults.Count} of {kernels.Checks.Count} checks FAILED";
            screen.Line($"  {kernels.Device.Kernels}: {result}");
            foreach (CheckResult fault in kernels.Faults.Take(Shown))
                screen.Line($"    {fault.Op} {fault.Variant}: {Screen.Safe(fault.Fault!)}");
            if (kernels.Faults.Count > Shown) screen.Line($"    and {kernels.Faults.Count - Shown} more");
            foreach ((WeightFormat format, DeviceSpeed speed) in kernels.Speeds)
            {
                screen.Line(string.Create(CultureInfo.InvariantCulture,
                    $"    {Readable.Name(format)} weights: products {speed.OperationsPerSecond / 1e12:G3} TFLOP/s, "
                    + $"uploads {speed.UploadBytesPerSecond / 1e9:G3} GB/s"));
            }

            if (kernels.Busy) screen.Line("    The device was busy with something else: the rates do not count.");
        }

        screen.Line(Verdict(tested));
    }

    /// <summary>What to make of it.</summary>
    private static string Verdict(IReadOnlyList<TestedKernels> tested)
    {
        string id = tested[0].Device.Id;
        if (tested.FirstOrDefault(kernels => kernels.Faults.Count > 0) is not { } wrong) return $"[bold]{id} is right.[/]";
        if (tested.FirstOrDefault(kernels => kernels.Faults.Count == 0) is not { } right)
            return $"[bold]{id} computes wrong results.[/] Update its driver or use another --device; report it with --output FILE.json.";
        string choice = right.Device.Kernels == DeviceInfo.PortableKernels ? "portable" : "matrix";
        return $"[bold]{id} is wrong with {wrong.Device.Kernels}.[/] Use --kernels {choice}; report it with --output FILE.json.";
    }

    /// <summary>Writes all of it as the members of an object.</summary>
    public static void Write(IReadOnlyList<TestedKernels> tested, bool quick, string? version, Utf8JsonWriter json)
    {
        DeviceInfo device = tested[0].Device;
        json.WriteString("ldlvk", version);
        json.WriteString("date", DateTime.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
        json.WriteString("os", RuntimeInformation.OSDescription);
        json.WriteString("runtime", $"{RuntimeInformation.FrameworkDescription} {RuntimeInformation.RuntimeIdentifier}");
        json.WriteString("device", device.Id);
        json.WriteString("name", device.Name);
        json.WriteString("kind", JsonNamingPolicy.SnakeCaseLower.ConvertName(device.Kind.ToString()));
        json.WriteString("driver", device.Driver);
        json.WriteNumber("memory_bytes", device.MemoryBytes);
        json.WriteStartArray("features");
        foreach (string feature in device.Features) json.WriteStringValue(feature);
        json.WriteEndArray();
        json.WriteBoolean("quick", quick);
        json.WriteBoolean("right", tested.All(kernels => kernels.Faults.Count == 0));
        json.WriteStartArray("kernels");
        foreach (TestedKernels kernels in tested) Write(kernels, json);
        json.WriteEndArray();
    }

    private static void Write(TestedKernels kernels, Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("kernels", kernels.Device.Kernels);
        json.WriteString("why", kernels.Device.WhyKernels);
        json.WriteNumber("faults", kernels.Faults.Count);
        json.WriteStartArray("checks");
        foreach (CheckResult check in kernels.Checks)
        {
            json.WriteStartObject();
            json.WriteString("op", check.Op);
            json.WriteString("variant", check.Variant);
            json.WriteNumber("seconds", Math.Round(check.Seconds, 6));
            if (double.IsFinite(check.Worst)) json.WriteNumber("worst", Math.Round(check.Worst, 4));
            if (check.Fault is not null) json.WriteString("fault", check.Fault);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("rates");
        foreach ((WeightFormat format, DeviceSpeed speed) in kernels.Speeds)
        {
            json.WriteStartObject();
            json.WriteString("weights", Readable.Name(format));
            json.WriteNumber("operations_per_second", Math.Round(speed.OperationsPerSecond));
            json.WriteNumber("upload_bytes_per_second", Math.Round(speed.UploadBytesPerSecond));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        if (kernels.Busy) json.WriteBoolean("busy", true);
        json.WriteEndObject();
    }
}
