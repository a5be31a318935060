using System.Globalization;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Output;

/// <summary>Prints the results of <c>ldlvk tune</c>, for people or as JSON lines.</summary>
internal sealed class TuneReport(
    Screen screen, ResultWriter lines, StatusLine status, DeviceInfo device, bool json) : IProgress<TunedProduct>
{
    /// <summary>Prints the device and the shape.</summary>
    public void Begin(string shape)
    {
        status.Show(() => $"{device.Id}: weights");
        if (json) return;
        screen.Line($"[bold]{Screen.Safe(Readable.Device(device))}[/], {Screen.Safe(device.Driver)}: {Screen.Safe(shape)}");
        screen.Line($"  {"product",-16} {"rows × outputs × inputs",-24} {"tiles",-22} {"time",10} {"tried",6}  against the default");
    }

    /// <summary>Prints one product.</summary>
    public void Report(TunedProduct value)
    {
        status.Show(() => $"{device.Id}: {Shape(value.Product)}");
        if (json) lines.Write(o => Write(o, value));
        else Line(value);
    }

    private static string Shape(LinearProduct p) => $"{p.Rows} × {p.OutputFeatures} × {p.InputFeatures}";

    private void Line(TunedProduct t)
    {
        string gain = t.Seconds <= 0 ? "not measured"
            : t.Tiles == t.Guess ? "the same"
            : string.Create(CultureInfo.InvariantCulture, $"{t.GuessSeconds / t.Seconds:F2} times as fast as {t.Guess}");
        string time = t.Seconds <= 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{t.Seconds * 1e3:F3} ms");
        string sums = t.Product.Sums == SumFormat.Fp16 ? "x" : "";
        screen.Line(
            $"  {(t.Product.Gated ? "GatedLinear" : "Linear") + " " + Readable.Name(t.Product.Format) + sums,-16} {Shape(t.Product),-24} "
                + $"{t.Tiles,-22} {time,10} {t.Tried,6}  {gain}");
    }

    private void Write(System.Text.Json.Utf8JsonWriter o, TunedProduct t)
    {
        o.WriteString("device", device.Id);
        o.WriteString("device_name", device.Name);
        o.WriteString("driver", device.Driver);
        o.WriteString("op", t.Product.Gated ? nameof(IDevice.GatedLinear) : nameof(IDevice.Linear));
        o.WriteString("weights", Readable.Name(t.Product.Format));
        o.WriteString("sums", t.Product.Sums.ToString().ToLowerInvariant());
        o.WriteNumber("rows", t.Product.Rows);
        o.WriteNumber("outputs", t.Product.OutputFeatures);
        o.WriteNumber("inputs", t.Product.InputFeatures);
        o.WriteString("tiles", t.Tiles);
        o.WriteString("guess", t.Guess);
        o.WriteNumber("tried", t.Tried);
        if (t.Seconds <= 0) return;
        o.WriteNumber("seconds", t.Seconds);
        o.WriteNumber("guess_seconds", t.GuessSeconds);
    }
}
