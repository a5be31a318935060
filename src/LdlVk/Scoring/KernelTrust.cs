using LdlVk.SelfTest;

namespace LdlVk.Scoring;

/// <summary>
/// Which kernels compute right results, by a quick self-test when a device and a version of its driver are first met, and kept. Kernels on
/// matrix units that fail, or during whose test the process ended, are replaced by portable ones; a device that fails with those is not
/// used.
/// </summary>
/// <param name="path">The file; null to keep nothing.</param>
/// <param name="test">Tests a device: what is wrong, or null.</param>
/// <param name="portable">The device with portable kernels.</param>
internal sealed class KernelTrust(string? path, Func<DeviceInfo, string?> test, Func<DeviceInfo, DeviceInfo> portable)
{
    private readonly KeptVerdicts _verdicts = new(path, "kernels", test);

    /// <summary>Those of this machine, in the user's cache folder; tests put others here.</summary>
    public static KernelTrust Default { get; set; } = new(KeptVerdicts.DefaultPath, Test, Portable);

    /// <summary>A device with kernels that are right, and what to tell the user if that was found out now and they are others.</summary>
    /// <exception cref="DeviceException">It has none.</exception>
    public (DeviceInfo Device, Notice? Note) Check(DeviceInfo device)
    {
        // The software drivers are held to the reference by the project's own tests.
        if (device.IsProcessor) return (device, null);
        bool isPortable = device.Kernels == DeviceInfo.PortableKernels, asked = device.KernelChoice == KernelChoice.Matrix;
        // Kernels that someone asks for although a driver seemed to crash on them get another chance.
        (string? fault, bool isNew) = _verdicts.Of(device, again: asked && !isPortable);
        if (fault is null) return (device, null);
        if (isPortable)
            throw new DeviceException(
                $"{KeptVerdicts.Describe(device, fault, "")}, and is not used: {fault}. Update the driver, or use "
                + $"{OptionName.Device.Of("cpu")}; ldlvk selftest shows all that is wrong, and a device that passes it is used again.");
        string wrong = KeptVerdicts.Describe(device, fault, " on its matrix units");
        if (asked)
            throw new DeviceException(
                $"{wrong}: {fault}. Use {OptionName.Kernels.Of("portable")}; ldlvk selftest shows all that is wrong.");
        Notice wayOut = fault != KeptVerdicts.Ended ? "ldlvk selftest shows all that is wrong"
            : (Notice)$"ldlvk selftest tests the others again, and so does {OptionName.Kernels.Of("matrix")}: if they pass, they are used";
        return (Fallback(Check(portable(device)).Device), !isNew ? null : (Notice)(
            $"{wrong}, and runs portable kernels from now on: {fault}. {wayOut}."));
    }

    /// <summary>A device as <see cref="Check"/> would give it by what is kept, without testing it.</summary>
    public DeviceInfo Known(DeviceInfo device) =>
        device.IsProcessor || device.KernelChoice != KernelChoice.Auto || device.Kernels == DeviceInfo.PortableKernels
            || _verdicts.Known(device) is null ? device : Fallback(portable(device));

    /// <summary>Keeps that a device passed a self-test.</summary>
    public void Passed(DeviceInfo device)
    {
        if (!device.IsProcessor) _verdicts.Passed(device);
    }

    private static DeviceInfo Fallback(DeviceInfo device) =>
        device with { WhyKernels = "the others failed the self-test with this driver" };

    private static DeviceInfo Portable(DeviceInfo device) =>
        ComputeDevices.Enumerate(KernelChoice.Portable).Single(other => other.Id == device.Id);

    private static string? Test(DeviceInfo device) => KeptVerdicts.FirstFault(
        ComputeDevices.Open(device), opened => DeviceSelfTest.Run(opened, quick: true, untilFault: true));
}
