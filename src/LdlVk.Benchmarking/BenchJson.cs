using System.Text.Json;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Benchmarking;

/// <summary>Writes measurements as members of JSON objects; the caller opens and closes the object.</summary>
public static class BenchJson
{
    /// <summary>Writes a measurement.</summary>
    /// <param name="json">Where to.</param>
    /// <param name="context">What goes with the measurement.</param>
    /// <param name="m">The measurement.</param>
    /// <param name="memory">The most memory in use.</param>
    public static void Write(Utf8JsonWriter json, BenchContext context, Measurement m, PeakMemory memory)
    {
        Device(json, context.Device);
        json.WriteString("shape", context.Shape.Name);
        json.WriteNumber("layers", context.Shape.Config.Layers);
        json.WriteString("weights", Readable.Name(context.Weights));
        json.WriteString("compute", Readable.Name(context.Compute));
        json.WriteString("scenario", m.Scenario.Name);
        json.WriteNumber("texts", m.Scenario.Texts);
        json.WriteNumber("tokens", m.Scenario.Tokens);
        json.WriteNumber("rows", m.Scenario.Rows);
        json.WriteNumber("tokens_per_second", m.TokensPerSecond);
        json.WriteNumber("best_tokens_per_second", m.BestTokensPerSecond);
        if (Prediction.For(context)?.TokensPerSecond(m.Scenario) is { } predicted)
            json.WriteNumber("predicted_tokens_per_second", predicted);
        json.WriteStartArray("seconds");
        foreach (double seconds in m.Seconds) json.WriteNumberValue(seconds);
        json.WriteEndArray();
        json.WriteNumber("operations", m.Operations);
        json.WriteNumber("tflops", m.Rate / 1e12);
        json.WriteNumber("peak_tflops", context.Yardsticks.ProductRate / 1e12);
        json.WriteString("peak_is", $"Linear {context.Yardsticks.ProductSize}³, {Readable.Name(context.Weights)} weights");
        json.WriteNumber("percent_of_peak", 100 * m.Rate / context.Yardsticks.ProductRate);
        json.WriteNumber("bytes", m.Bytes);
        json.WriteNumber("gb_per_second", m.ByteRate / 1e9);
        json.WriteNumber("copy_gb_per_second", context.Yardsticks.CopyRate / 1e9);
        json.WriteNumber("cold_start_seconds", context.ColdStart.Total);
        json.WriteNumber("open_seconds", context.ColdStart.Open);
        json.WriteNumber("weights_seconds", context.ColdStart.Weights);
        json.WriteNumber("first_result_seconds", context.ColdStart.First);
        json.WriteBoolean("kept_kernels", context.KeptKernels);
        json.WriteNumber("peak_device_bytes", memory.DeviceBytes);
        json.WriteNumber("peak_process_bytes", memory.ProcessBytes);
        if (context.WhyNotTimed is { } why) json.WriteString("ops_not_timed", why);
        else json.WriteNumber("device_seconds", m.DeviceSeconds);
        json.WriteStartArray("ops");
        foreach (OpRow row in m.Ops) Op(json, row, context.WhyNotTimed is null);
        json.WriteEndArray();
    }

    /// <summary>Writes an op measured by itself.</summary>
    /// <param name="json">Where to.</param>
    /// <param name="device">The device.</param>
    /// <param name="format">Format of the weights.</param>
    /// <param name="row">The op.</param>
    public static void Write(Utf8JsonWriter json, DeviceInfo device, WeightFormat format, OpRow row)
    {
        Device(json, device);
        json.WriteString("weights", Readable.Name(format));
        Members(json, row, timed: true);
    }

    private static void Device(Utf8JsonWriter json, DeviceInfo device)
    {
        json.WriteString("device", device.Id);
        json.WriteString("device_name", device.Name);
        json.WriteString("driver", device.Driver);
    }

    private static void Op(Utf8JsonWriter json, OpRow row, bool timed)
    {
        json.WriteStartObject();
        Members(json, row, timed);
        json.WriteEndObject();
    }

    private static void Members(Utf8JsonWriter json, OpRow row, bool timed)
    {
        json.WriteString("op", row.Op);
        json.WriteString("operand", row.Operand);
        json.WriteString("shape", row.Shape);
        json.WriteNumber("calls", row.Calls);
        json.WriteNumber("operations", row.Operations);
        json.WriteNumber("bytes", row.Bytes);
        if (!timed) return;
        json.WriteNumber("seconds", row.Seconds);
        json.WriteNumber("gflops", PerSecond(row.Operations, row.Seconds) / 1e9);
        json.WriteNumber("gb_per_second", PerSecond(row.Bytes, row.Seconds) / 1e9);
    }

    /// <summary>A rate; 0 where the clock was too coarse for a short call.</summary>
    private static double PerSecond(double amount, double seconds) => seconds > 0 ? amount / seconds : 0;
}
