using System.Diagnostics;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu;

/// <summary>Times calls that are done when they return.</summary>
internal sealed class WallTimer : IOpTimer
{
    private readonly List<double> seconds = [];
    private long begin;

    public void Begin() => begin = Stopwatch.GetTimestamp();

    public void End() => seconds.Add(Stopwatch.GetElapsedTime(begin).TotalSeconds);

    public double[] Finish() => [.. seconds];

    public void Dispose()
    {
    }
}
