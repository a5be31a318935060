using System.Diagnostics;
using LdlVk.Runtime.Devices;

namespace LdlVk.Benchmarking;

/// <summary>The times of one scenario.</summary>
public sealed class Measurement
{
    private readonly IReadOnlyList<OpTiming> _calls;

    private Measurement(Scenario scenario, double[] seconds, IReadOnlyList<OpTiming> calls) =>
        (Scenario, Seconds, _calls) = (scenario, seconds, calls);

    /// <summary>The scenario that was computed.</summary>
    public Scenario Scenario { get; }

    /// <summary>Seconds of each run, the shortest first; the clock runs from the token ids to the results on the host.</summary>
    public IReadOnlyList<double> Seconds { get; }

    /// <summary>Median seconds of a run.</summary>
    public double Median => (Seconds[Seconds.Count / 2] + Seconds[(Seconds.Count - 1) / 2]) / 2;

    /// <summary>Tokens per second of the median run; a shared token counts once for each text.</summary>
    public double TokensPerSecond => Scenario.Tokens / Median;

    /// <summary>Tokens per second of the fastest run.</summary>
    public double BestTokensPerSecond => Scenario.Tokens / Seconds[0];

    /// <summary>
    /// The arithmetic of Linear and Attention that the model needs (<see cref="OpTiming.Operations"/>). The last layer computes keys and
    /// values of all rows, and everything else for the last row of each text only.
    /// </summary>
    public double Operations => _calls.Sum(c => c.Operations);

    /// <summary>Operations per second of the median run.</summary>
    public double Rate => Operations / Median;

    /// <summary>Bytes of all operands, each counted once per call.</summary>
    public double Bytes => _calls.Sum(c => c.Bytes);

    /// <summary>Bytes per second of the median run.</summary>
    public double ByteRate => Bytes / Median;

    /// <summary>The calls summed by op, operand and shape, the slowest first.</summary>
    public IReadOnlyList<OpRow> Ops => [.. _calls
        .GroupBy(c => (c.Op, c.Operand, c.Shape))
        .Select(
            g => new OpRow(
                g.Key.Op, g.Key.Operand, g.Key.Shape, g.Count(), g.Sum(c => c.Seconds), g.Sum(c => c.Operations), g.Sum(c => c.Bytes)))
        .OrderByDescending(r => r.Seconds).ThenByDescending(r => r.Operations)];

    /// <summary>Seconds of all calls on the device's clock.</summary>
    public double DeviceSeconds => _calls.Sum(c => c.Seconds);

    /// <summary>Times a scenario that has run before, and profiles one more run.</summary>
    internal static Measurement Take(
        ProfiledDevice device, BenchModel model, Scenario scenario, int runs, CancellationToken cancellationToken)
    {
        double[] seconds = new double[runs];
        for (int i = 0; i < runs; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            long start = Stopwatch.GetTimestamp();
            model.Run(scenario);
            seconds[i] = Stopwatch.GetElapsedTime(start).TotalSeconds;
        }

        Array.Sort(seconds);
        return new Measurement(scenario, seconds, device.Profile(() => model.Run(scenario)));
    }
}
