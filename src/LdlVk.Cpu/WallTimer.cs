using System.Diagnostics;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu;

/// <summary>Measures calls that are complete when they return.</summary>
internal sealed class WallTimer : IOpTimer
{
    private readonly List<double> _seconds = [];
    private long _begin;

    public void Begin() => _begin = Stopwatch.GetTimestamp();

    public void End() => _seconds.Add(Stopwatch.GetElapsedTime(_begin).TotalSeconds);

    public double[] Finish() => [.. _seconds];

    public void Dispose()
    {
    }
}
