using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using LdlVk.Benchmarking;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Formatting;
using LdlVk.SelfTest;

namespace LdlVk.Cli.Output;

/// <summary>The result of <c>ldlvk selftest</c>, for people and as JSON.</summary>
internal static class SelfTestReport
{
    /// <summary>Faults of a kind of kernels that are shown; the JSON has all.</summary>
    private const int Shown = 5;

    /// <summary>The model whose products are held against the limits of the device.</summary>
    public const string Shape = "gemma2-27b";

    /// <summary>Shows it on one screen.</summary>
    public static void Show(TestedDevice all, Screen screen)
    {
        IReadOnlyList<TestedKernels> tested = all.Kernels;
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

            foreach (string line in Limits(kernels.Rates)) screen.Line($"    {line}");
            if (kernels.Busy) screen.Line("    The device was busy with something else: the rates do not count.");
        }

        screen.Line(Verdict(tested));
    }

    /// <summary>How near the products come to the limits of the device, in words.</summary>
    private static IEnumerable<string> Limits(DeviceRates? rates)
    {
        if (rates is null) yield break;
        foreach (UnitRate unit in rates.Units)
        {
            yield return $"{unit.Peak.Units}: {Rates.Operations(unit.Peak.OperationsPerSecond)} "
                + (unit.OperationsPerSecond == 0 ? $"by themselves; products of {Shape} do not fit, or would take minutes"
                    : string.Create(CultureInfo.InvariantCulture,
                        $"by themselves; products of {Shape} with {unit.Rows} rows reach {unit.Share:P0} of that"));
        }

        yield return $"a copy in the device's memory: {Rates.Bytes(rates.CopyBytesPerSecond)}";
        if (HalfSumGain(rates) is { } sums)
            yield return sums < 1.05 ? "fp16 sums are not faster here"
                : string.Create(CultureInfo.InvariantCulture, $"fp16 sums are {sums:F1} times as fast as fp32 sums here (--compute fp16x)");
        if (Int8Gain(rates) is { } gain)
            yield return gain < 1.05 ? "int8 is not faster here"
                : string.Create(CultureInfo.InvariantCulture, $"int8 is {gain:F1} times as fast as fp16 here (--compute int8)");
    }

    /// <summary>The rate of products of bytes, as a multiple of that of halves; null where one was not measured.</summary>
    private static double? Int8Gain(DeviceRates rates) => Gain(rates, unit => unit.Bytes);

    /// <summary>The rate of products with sums in fp16, as a multiple of those in fp32; null where one was not measured.</summary>
    private static double? HalfSumGain(DeviceRates rates) => Gain(rates, unit => unit.Sums == SumFormat.Fp16);

    private static double? Gain(DeviceRates rates, Func<PeakRate, bool> fast)
    {
        double? Rate(Func<PeakRate, bool> which) => rates.Units.FirstOrDefault(unit => which(unit.Peak))?.OperationsPerSecond;
        return Rate(fast) / Rate(unit => unit is { Bytes: false, Sums: SumFormat.Fp32 }) is { } gain && double.IsFinite(gain) && gain > 0
            ? gain : null;
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
    public static void Write(TestedDevice tested, string? version, Utf8JsonWriter json)
    {
        DeviceInfo device = tested.Kernels[0].Device;
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
        json.WriteBoolean("quick", tested.Quick);
        json.WriteBoolean("right", tested.IsRight);
        json.WriteStartArray("kernels");
        foreach (TestedKernels kernels in tested.Kernels) Write(kernels, json);
        json.WriteEndArray();
        if (tested.Description is not { } description) return;
        json.WritePropertyName("vulkan");
        description.WriteTo(json);
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
        if (kernels.Rates is { } rates) Write(rates, json);
        if (kernels.Busy) json.WriteBoolean("busy", true);
        json.WriteStartArray("statistics");
        foreach (KernelStatistics compiled in kernels.Statistics) Write(compiled, json);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void Write(DeviceRates rates, Utf8JsonWriter json)
    {
        json.WriteStartArray("units");
        foreach (UnitRate unit in rates.Units)
        {
            json.WriteStartObject();
            json.WriteString("units", unit.Peak.Units);
            json.WriteNumber("peak_operations_per_second", Math.Round(unit.Peak.OperationsPerSecond));
            json.WriteString("products", Shape);
            json.WriteString("weights", Readable.Name(unit.Peak.Format));
            json.WriteNumber("rows", unit.Rows);
            json.WriteNumber("operations_per_second", Math.Round(unit.OperationsPerSecond));
            json.WriteNumber("percent_of_peak", Math.Round(100 * unit.Share, 1));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNumber("copy_bytes_per_second", Math.Round(rates.CopyBytesPerSecond));
        if (Int8Gain(rates) is { } gain) json.WriteNumber("int8_gain", Math.Round(gain, 2));
    }

    private static void Write(KernelStatistics compiled, Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("kernel", compiled.Kernel);
        foreach ((string name, double value) in compiled.Statistics)
            if (double.IsFinite(value)) json.WriteNumber(name, value);
        json.WriteEndObject();
    }
}
