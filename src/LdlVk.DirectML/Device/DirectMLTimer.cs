using System.Diagnostics;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Device;

/// <summary>
/// Times items by the host's clock, waiting for the device before and after each: what an item takes alone, the way to the device and back
/// included.
/// </summary>
/// <param name="wait">Waits until the device has done all that was called.</param>
internal sealed class DirectMLTimer(Action wait) : IOpTimer
{
    private readonly List<double> _seconds = [];
    private long _begun;

    public void Begin()
    {
        wait();
        _begun = Stopwatch.GetTimestamp();
    }

    public void End()
    {
        wait();
        _seconds.Add(Stopwatch.GetElapsedTime(_begun).TotalSeconds);
    }

    public double[] Finish() => [.. _seconds];

    public void Dispose()
    {
        // It holds nothing.
    }
}
