using System.Diagnostics;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;

namespace LdlVk.Benchmarking;

/// <summary>What was measured of one scenario.</summary>
/// <param name="Scenario">What was computed.</param>
/// <param name="Seconds">Seconds of each run, the shortest first; the clock runs from the token ids to the results on the host.</param>
/// <param name="Calls">The device's calls of one more run.</param>
internal sealed record Measurement(Scenario Scenario, double[] Seconds, IReadOnlyList<OpTiming> Calls)
{
    /// <summary>Seconds of the run in the middle.</summary>
    public double Median => (Seconds[Seconds.Length / 2] + Seconds[(Seconds.Length - 1) / 2]) / 2;

    /// <summary>Tokens a second of the run in the middle, shared tokens counted for each text.</summary>
    public double TokensPerSecond => Scenario.Tokens / Median;

    /// <summary>Tokens a second of the fastest run.</summary>
    public double BestTokensPerSecond => Scenario.Tokens / Seconds[0];

    /// <summary>
    /// The arithmetic of Linear and Attention that was asked for (<see cref="OpTiming.Operations"/>): the last layer's keys and values of
    /// all rows, and the rest of it for the last rows alone.
    /// </summary>
    public double Operations => Calls.Sum(c => c.Operations);

    /// <summary>Operations a second, of the run in the middle.</summary>
    public double Rate => Operations / Median;

    /// <summary>Bytes of all operands, each read or written once a call.</summary>
    public double Bytes => Calls.Sum(c => c.Bytes);

    /// <summary>Bytes a second, of the run in the middle.</summary>
    public double ByteRate => Bytes / Median;

    /// <summary>The calls by op, operand and shape, the longest first.</summary>
    public IReadOnlyList<OpRow> Ops => [.. Calls
        .GroupBy(c => (c.Op, c.Operand, c.Shape))
        .Select(g => new OpRow(g.Key.Op, g.Key.Operand, g.Key.Shape, g.Count(), g.Sum(c => c.Seconds), g.Sum(c => c.Operations), g.Sum(c => c.Bytes)))
        .OrderByDescending(r => r.Seconds).ThenByDescending(r => r.Operations)];

    /// <summary>Seconds of all calls on the device's clock.</summary>
    public double DeviceSeconds => Calls.Sum(c => c.Seconds);

    /// <summary>Measures a scenario that has run before.</summary>
    public static Measurement Take(ProfiledDevice device, BenchModel model, Scenario scenario, int runs, CancellationToken cancellation)
    {
        double[] seconds = new double[runs];
        for (int i = 0; i < runs; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            long start = Stopwatch.GetTimestamp();
            model.Run(scenario);
            seconds[i] = Stopwatch.GetElapsedTime(start).TotalSeconds;
        }

        Array.Sort(seconds);
        return new Measurement(scenario, seconds, device.Profile(() => model.Run(scenario)));
    }
}

/// <summary>All calls of one op with the same operand and shape.</summary>
internal readonly record struct OpRow(string Op, string Operand, string Shape, int Calls, double Seconds, double Operations, double Bytes);

/// <summary>From opening the device to the first result.</summary>
/// <param name="Open">Seconds of opening the device.</param>
/// <param name="Weights">Seconds of making or loading the weights.</param>
/// <param name="First">Seconds of the first scenario's first run, kernels compiled in it.</param>
internal readonly record struct ColdStart(double Open, double Weights, double First)
{
    /// <summary>All of it.</summary>
    public double Total => Open + Weights + First;
}

/// <summary>One device with one format: everything that goes with its measurements.</summary>
/// <param name="Device">The device.</param>
/// <param name="Shape">The model.</param>
/// <param name="Weights">Format of its matrices.</param>
/// <param name="Compute">How products are computed.</param>
/// <param name="Yardsticks">What the device could do at best.</param>
/// <param name="ColdStart">How long the first result took.</param>
/// <param name="KeptKernels">Whether kernels compiled in earlier runs were used; else all were compiled.</param>
/// <param name="WhyNotTimed">Why there are no times of ops; null if there are.</param>
internal sealed record BenchContext(
    DeviceInfo Device, BenchShape Shape, WeightFormat Weights, ComputeMode Compute, Yardsticks Yardsticks, ColdStart ColdStart, bool KeptKernels, string? WhyNotTimed);

/// <summary>The most memory there was.</summary>
/// <param name="DeviceBytes">Tensors and weights on the device.</param>
/// <param name="ProcessBytes">The process's memory on the host.</param>
internal readonly record struct PeakMemory(long DeviceBytes, long ProcessBytes);
