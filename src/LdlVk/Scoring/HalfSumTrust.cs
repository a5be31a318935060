using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;

namespace LdlVk.Scoring;

/// <summary>
/// Whether a device's sums in fp16 are right. The quick self-test of <see cref="KernelTrust"/> leaves them out, since only
/// <see cref="ComputeMode.Fp16x"/> needs them: they are tested when a device and a version of its driver first get a model in that mode.
/// </summary>
/// <param name="path">The file; null to keep nothing.</param>
/// <param name="test">Tests a device: what is wrong, or null.</param>
internal sealed class HalfSumTrust(string? path, Func<DeviceInfo, string?> test)
{
    private readonly KeptVerdicts _verdicts = new(path, "fp16 sums", test);

    /// <summary>Those of this machine, in the file of <see cref="KernelTrust.Default"/>; tests put others here.</summary>
    public static HalfSumTrust Default { get; set; } = new(KeptVerdicts.DefaultPath, device => Test(ComputeDevices.Open(device)));

    /// <summary>Checks a device; one without sums in fp16 has none that are wrong.</summary>
    /// <exception cref="DeviceException">They are wrong.</exception>
    public void Check(DeviceInfo device)
    {
        if (!IsTested(device) || _verdicts.Of(device).Fault is not { } fault) return;
        throw new DeviceException(
            $"{KeptVerdicts.Describe(device, fault, " with sums in fp16")}: {fault}. Leave {OptionName.Compute} out; ldlvk selftest shows "
            + $"all that is wrong, and a device that passes it is used again.");
    }

    /// <summary>Keeps that a device's sums in fp16 passed a self-test.</summary>
    public void Passed(DeviceInfo device)
    {
        if (IsTested(device)) _verdicts.Passed(device);
    }

    /// <summary>Tests an open device, and closes it: what is wrong, or null.</summary>
    public static string? Test(IDevice device) => KeptVerdicts.FirstFault(device, opened => DeviceSelfTest.HalfSums(opened));

    /// <summary>Software drivers and the processor are held to the reference by the project's own tests.</summary>
    private static bool IsTested(DeviceInfo device) => !device.IsProcessor && device.SumsHalves;
}
