using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;

namespace LdlVk.Scoring;

/// <summary>
/// Whether a device's sums in fp16 are right. The self-test of a new driver (<see cref="KernelTrust"/>) leaves them out, since only
/// <see cref="ComputeMode.Fp16x"/> needs them; so they are checked whenever a model is loaded in that mode.
/// </summary>
internal static class HalfSumTrust
{
    /// <summary>The device, if its sums in fp16 are right or it has none; else it is closed.</summary>
    /// <exception cref="DeviceException">They are wrong.</exception>
    public static IDevice Checked(IDevice device, CancellationToken cancellationToken)
    {
        // Software drivers and the processor are held to the reference by the project's own tests.
        if (device.Info.IsProcessor) return device;
        IReadOnlyList<CheckResult> checks = [];
        try
        {
            checks = DeviceSelfTest.HalfSums(device, cancellationToken);
            if (checks is not [.., { Fault: { } fault } wrong]) return device;
            throw new DeviceException(
                $"{device.Info.Id} ({device.Info.Name}) computes wrong results with sums in fp16 with its driver, {device.Info.Driver}: "
                + $"{wrong.Op} {wrong.Variant}: {fault}. Leave {OptionName.Compute} out; ldlvk selftest shows all that is wrong.");
        }
        catch
        {
            DeviceSelfTest.Close(device, checks);
            throw;
        }
    }
}
