using LdlVk.Runtime.Devices;

namespace LdlVk.SelfTest;

/// <summary>Checks products with sums in fp16 (<see cref="SumFormat.Fp16"/>) alone, which the quick self-test leaves out.</summary>
public static class HalfSumSelfTest
{
    /// <summary>Runs the checks, in a fraction of a second on a graphics card.</summary>
    /// <param name="device">The device; it must not be in use.</param>
    /// <param name="cancellationToken">Ends it between two checks.</param>
    /// <returns>The last check; null where the device has no such sums. It is the one that failed, if one did.</returns>
    /// <exception cref="DeviceException">There is not enough memory, which says nothing about the kernels.</exception>
    public static CheckResult? Run(IDevice device, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(device);
        CheckResult? last = null;
        foreach (OpCheck check in HalfSumChecks.For(device.Info, quick: true))
        {
            cancellationToken.ThrowIfCancellationRequested();
            (last, _) = DeviceSelfTest.Run(check, device, DeviceSelfTest.UsualLimit);
            if (last.Fault is not null) break;
        }

        return last;
    }
}
