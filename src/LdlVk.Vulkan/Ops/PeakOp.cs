using System.Diagnostics;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Ops;

/// <summary>
/// What the arithmetic units reach with operands in registers: peak.comp, peak_dot.comp, peak_matrix.comp, peak_half_matrix.comp,
/// peak_int8_matrix.comp.
/// </summary>
internal sealed class PeakOp(VulkanDevice device)
{
    /// <summary>Workgroups of a measurement: some hundred for each core of the largest cards, so that the last ones do not count.</summary>
    private const int MaxGroups = 16384;

    /// <summary>Invocations of peak.comp and peak_dot.comp, and products of a step of each: 4 turns of 16 chains.</summary>
    private const int Threads = 256, ProductsPerStep = 64;

    /// <summary>Subgroups of a workgroup of the kernels on matrix units.</summary>
    private const uint Subgroups = 4;

    /// <summary>Registers of an invocation that sums take; more leave fewer subgroups to hide the units' latency.</summary>
    private const uint SumRegisters = 64;

    /// <summary>A run that is long enough for starting it not to count, and short enough for a screen not to stand still.</summary>
    private const double Enough = 0.02;

    private DeviceResources Resources => device.Resources;

    /// <summary>The units of products with fp16 weights, and of Int8Linear with int8 weights unless those are ordinary integers.</summary>
    public IEnumerable<PeakRate> Measure()
    {
        LinearKernels kernels = Resources.LinearKernels;
        yield return kernels.MatrixUnits is { } halves
            ? new PeakRate("fp16 matrix units", WeightFormat.Fp16, false, Rate("peak_matrix", halves))
            : new PeakRate("fp32 arithmetic", WeightFormat.Fp16, false, Rate("peak", 2));
        if (kernels.HalfSumUnits is { } halfSums)
        {
            yield return new PeakRate(
                "fp16 matrix units with fp16 sums", WeightFormat.Fp16, false, Rate("peak_half_matrix", halfSums), SumFormat.Fp16);
        }

        if (kernels.ByteMatrixUnits is { } bytes)
            yield return new PeakRate("int8 matrix units", WeightFormat.Int8, true, Rate("peak_int8_matrix", bytes));
        else if (device.Ops.Int8Linear.Units == Int8Units.Dot)
            yield return new PeakRate("int8 dot products", WeightFormat.Int8, true, Rate("peak_dot", 8));
    }

    private double Rate(string shader, double operationsPerProduct) =>
        Rate(shader, [], 0, Threads, Threads * ProductsPerStep * operationsPerProduct);

    private double Rate(string shader, MatrixUnits units)
    {
        uint sums = Math.Clamp(SumRegisters * units.SubgroupSize / (units.M * units.N), 1, 8);
        uint subgroups = Math.Min(Subgroups, Math.Min(Resources.Facts.MaxSubgroups, Resources.Facts.MaxThreads / units.SubgroupSize));
        uint threads = subgroups * units.SubgroupSize;
        return Rate(shader, [threads, units.SubgroupSize, units.M, units.N, units.K, sums], units.SubgroupSize, (int)threads,
            2.0 * subgroups * sums * 2 * units.M * units.N * units.K);
    }

    /// <summary>Runs more and more of it until a run is long enough, and that one three times.</summary>
    private double Rate(string shader, uint[] constants, uint subgroupSize, int threads, double operationsPerStep)
    {
        using ITensor output = device.CreateTensor(MaxGroups, threads);
        IVulkanTensor y = device.Own.Output(output);
        Run(1, 1); // compiles it
        for (double operations = 1e7; ;)
        {
            int groups = (int)Math.Clamp(operations / operationsPerStep / 64, 1, MaxGroups);
            int steps = (int)Math.Clamp(operations / operationsPerStep / groups, 1, int.MaxValue);
            double seconds = Run(groups, steps), done = (double)groups * steps * operationsPerStep;
            if (seconds >= Enough) return done / Math.Min(seconds, Math.Min(Run(groups, steps), Run(groups, steps)));
            operations = Math.Max(done, operations) * Math.Clamp(1.5 * Enough / seconds, 1.5, 16);
        }

        double Run(int groups, int steps)
        {
            using IOpTimer? timer = device.WhyNotTimed is null ? device.StartTimer() : null;
            Resources.Finish();
            long start = Stopwatch.GetTimestamp();
            timer?.Begin();
            Resources.Pipelines.Dispatch(
                Resources.Stream.Next(new Work("Peak", groups, threads, groups * steps * operationsPerStep), [], [y.Range]), shader,
                constants, new PushConstants().Add(y.Address).Add(steps), groups, subgroupSize: subgroupSize);
            timer?.End();
            Resources.Finish();
            return Math.Max(timer?.Finish()[0] ?? Stopwatch.GetElapsedTime(start).TotalSeconds, 1e-9);
        }
    }
}
