using LdlVk.Runtime.Devices;

namespace LdlVk.SelfTest;

/// <summary>Checks products with sums in fp16 (<see cref="SumFormat.Fp16"/>) alone, which the quick self-test leaves out.</summary>
public static class HalfSumSelfTest
{
    /// <summary>Runs the checks, in a fraction of a second on a graphics card.</summary>
    /// <param name="device">The device; it must not be in use.</param>
    /// <param name="cancellationToken">Ends it between two checks.</param>
    /// <returns>
    /// The number of checks, 0 where the device has no such sums, and what is wrong in words; null if nothing is.
    /// </returns>
    /// <exception cref="DeviceException">There is not enough memory, which says nothing about the kernels.</exception>
    public static (int Checks, string? Fault) Run(IDevice device, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(device);
        int checks = 0;
        foreach (OpCheck check in HalfSumChecks.For(device.Info, quick: true))
        {
            cancellationToken.ThrowIfCancellationRequested();
            checks++;
            try
            {
                using Operands operands = new(device);
                if (check.Run(operands).Fault is { } fault) return (checks, $"{check.Op} {check.Variant}: {fault}");
            }
            catch (DeviceException e) when (e.Failure != DeviceFailure.OutOfMemory)
            {
                return (checks, $"{check.Op} {check.Variant}: {e.Message}");
            }
        }

        return (checks, null);
    }
}
