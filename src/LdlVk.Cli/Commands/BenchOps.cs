using LdlVk.Benchmarking;
using LdlVk.Cli.Output;
using LdlVk.Datasets.Lines;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Commands;

/// <summary><c>ldlvk bench --ops</c>: every op by itself.</summary>
internal static class BenchOps
{
    /// <summary>Measures the ops with weights of a format, and after the first format no more those without weights.</summary>
    public static void Measure(
        DeviceInfo info, BenchShape shape, WeightFormat format, bool useKeptKernels, BenchOutput output, bool first,
        CancellationToken cancellationToken)
    {
        output.Status.Show(() => $"{info.Id}: ops");
        using IDevice device = ComputeDevices.Open(info, useKeptKernels: useKeptKernels);
        OpBench ops = new(device, shape.Config,
            row =>
            {
                if (output.Json) output.Lines.Write(o => BenchJson.Write(o, info, format, row));
                else output.Report.WriteOp(row);
            },
            skipped =>
            {
                if (!output.Json) output.Report.WriteSkipped(skipped);
            });
        if (!output.Json) output.Report.BeginOps(info, $"{shape.Name}, {Readable.Name(format)} weights");
        ops.Run(format, others: first, cancellationToken);
    }
}

/// <summary>The output of measurements: a report for people, or JSON lines.</summary>
internal sealed record BenchOutput(BenchReport Report, ResultWriter Lines, StatusLine Status, bool Json);
