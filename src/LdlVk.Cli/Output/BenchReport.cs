using System.Globalization;
using LdlVk.Benchmarking;
using LdlVk.Runtime.Formatting;
using LdlVk.Runtime.Model;

namespace LdlVk.Cli.Output;

/// <summary>Prints measurements for people.</summary>
internal sealed class BenchReport(Screen screen)
{
    /// <summary>Ops below this share of the time are summed up in one line.</summary>
    private const double SmallShare = 0.005;

    /// <summary>Prints what is measured and the reference rates.</summary>
    public void Begin(BenchContext c, ExecutionPlan plan)
    {
        BackboneConfig s = c.Shape.Config;
        screen.Line($"[bold]{Screen.Safe(Readable.Device(c.Device))}[/], {Screen.Safe(c.Device.Driver)}");
        screen.Line(
            $"{Screen.Safe(c.Shape.Name)}: hidden {s.HiddenSize}, {Readable.Plural(s.Layers, "layer")}, {s.Heads} heads, "
                + $"{s.KeyValueHeads} KV heads of {s.HeadDimension}, FFN {s.IntermediateSize}; "
                + $"{Readable.Name(c.Weights)} weights{(c.Compute == ComputeMode.Auto ? "" : $", {Readable.Name(c.Compute)} compute")}");
        screen.Line(
            $"Yardsticks: {Rates.Operations(c.Yardsticks.ProductRate)} in our Linear of {c.Yardsticks.ProductSize}³ with "
                + $"{Readable.Name(c.Weights)} weights; {Rates.Bytes(c.Yardsticks.CopyRate)} in a copy on the device");
        ColdStart cold = c.ColdStart;
        screen.Line(
            Number($"Cold start: {cold.Total:F2} s = {cold.Open:F2} opening the device ")
                + Number($"+ {cold.Weights:F2} weights + {cold.First:F2} first result, ")
                + $"kernels {(c.KeptKernels ? "kept from earlier runs" : "compiled anew")}");
        if (plan.Streams)
            screen.Line(
                $"{plan.Stages[0].Layers.Streamed} of {s.Layers} layers are streamed: "
                    + $"{Readable.Bytes(plan.Stages[0].StreamedBytes)} for each run");
        if (c.WhyNotTimed is { } why) screen.Line($"No times of ops: {Screen.Safe(why)}.");
    }

    /// <summary>Prints one measurement.</summary>
    public void Write(BenchContext c, Measurement m)
    {
        screen.Line();
        screen.Line(
            Number($"[bold]{m.Scenario.Label}: {m.TokensPerSecond:G4} tokens/s[/] ")
                + Number($"(median of {m.Seconds.Count}; best {m.BestTokensPerSecond:G4}), {Rates.Seconds(m.Median)}"));
        screen.Line(
            Number($"  {Rates.Operations(m.Rate)}, {100 * m.Rate / c.Yardsticks.ProductRate:F0} % of the product's; ")
                + Number($"{Rates.Bytes(m.ByteRate)}, {100 * m.ByteRate / c.Yardsticks.CopyRate:F0} % of the copy's"));
        if (Prediction.For(c)?.TokensPerSecond(m.Scenario) is { } predicted)
            screen.Line(Number($"  {100 * m.TokensPerSecond / predicted:F0} % of the {predicted:G4} tokens/s of --predict"));
        if (c.WhyNotTimed is not null) return;
        double total = m.DeviceSeconds;
        screen.Line(Number(
            $"  {"op",-36} {"rows × outputs × inputs",-24} {"calls",5} {"time",9} {"share",6} {"rate",13} {"traffic",10}"));
        foreach (OpRow row in m.Ops.Where(r => r.Seconds >= SmallShare * total)) Op(row, total);
        OpRow[] small = [.. m.Ops.Where(r => r.Seconds < SmallShare * total)];
        if (small.Length > 0)
            Op(
                new OpRow(
                    $"{small.Length} smaller", "", "", small.Sum(r => r.Calls), small.Sum(r => r.Seconds), small.Sum(r => r.Operations),
                    small.Sum(r => r.Bytes)),
                total);
        screen.Line(Number($"  {Rates.Seconds(total)} on the device's clock, {100 * total / m.Median:F0} % of the median run"));
    }

    /// <summary>Prints the speed-up by sharing the prompt of answers.</summary>
    public void WriteSharing(Measurement full, Measurement shared)
    {
        double ratio = full.Median / shared.Median, ideal = (double)full.Scenario.Rows / shared.Scenario.Rows;
        screen.Line();
        string rows = $"{Readable.Count(full.Scenario.Rows)} / {Readable.Count(shared.Scenario.Rows)}";
        screen.Line(
            Number($"[bold]Sharing the prompt: {ratio:F2} times faster[/]; ")
                + Number($"{ideal:F2} by tokens ({rows}), {100 * ratio / ideal:F0} % of that"));
    }

    /// <summary>Prints the peak memory.</summary>
    public void End(PeakMemory memory)
    {
        screen.Line();
        screen.Line(
            $"Peak memory: {Readable.Bytes(memory.DeviceBytes)} on the device, {Readable.Bytes(memory.ProcessBytes)} of this process");
    }

    /// <summary>Prints the heading of a list of individually measured ops.</summary>
    public void BeginOps(DeviceInfo device, string heading)
    {
        screen.Line($"[bold]{Screen.Safe(Readable.Device(device))}[/], {Screen.Safe(device.Driver)}: {Screen.Safe(heading)}");
        screen.Line(OpTable.Heading);
    }

    /// <summary>Prints an individually measured op.</summary>
    public void WriteOp(OpRow row) => screen.Line(Screen.Safe(OpTable.Line(row)));

    /// <summary>Prints an op that was not measured.</summary>
    public void WriteSkipped(SkippedOp op) => screen.Line(Screen.Safe(OpTable.Line(op)));

    private void Op(OpRow row, double total)
    {
        double share = total > 0 ? 100 * row.Seconds / total : 0;
        string traffic = row.Seconds > 0 ? Rates.Bytes(row.Bytes / row.Seconds) : "";
        screen.Line(
            Number($"  {Screen.Safe(row.Name),-36} {row.Shape,-24} {row.Calls,5} {Rates.Seconds(row.Seconds),9} {share,4:F1} % ")
                + $"{Rate(row),13} {traffic,10}");
    }

    private static string Rate(OpRow row) => row.Operations > 0 && row.Seconds > 0 ? Rates.Operations(row.Operations / row.Seconds) : "";

    private static string Number(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
