using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using LdlVk.Vulkan;

namespace LdlVk.Scoring;

/// <summary>
/// Which kernels compute right results, by a quick self-test when a device and a version of its driver are first met, and kept. Kernels on
/// matrix units that fail are replaced by portable ones; a device that fails with those is not used.
/// </summary>
/// <param name="path">The file; null to keep nothing.</param>
/// <param name="test">Tests a device: what is wrong, or null.</param>
/// <param name="portable">The device with portable kernels.</param>
internal sealed class KernelTrust(string? path, Func<DeviceInfo, string?> test, Func<DeviceInfo, DeviceInfo> portable)
{
    private const string Right = "right";

    /// <summary>Another build has other kernels, which are tested anew.</summary>
    private static readonly string Build = typeof(VulkanBackend).Assembly.ManifestModule.ModuleVersionId.ToString("N");

    private readonly KeptFacts _kept = new(path);

    /// <summary>Those of this machine, in the user's cache folder; tests put others here.</summary>
    public static KernelTrust Default { get; set; } = new(KeptFacts.PathOf("selftest.tsv"), Test, Portable);

    /// <summary>A device with kernels that are right, and what to tell the user if that was found out now and they are others.</summary>
    /// <exception cref="DeviceException">It has none.</exception>
    public (DeviceInfo Device, Notice? Note) Check(DeviceInfo device)
    {
        // The software drivers are held to the reference by the project's own tests.
        if (device.IsProcessor) return (device, null);
        string key = KeptFacts.Key(device, Build);
        string? kept = _kept.Find(key), fault;
        try
        {
            fault = kept is null ? test(device) : kept == Right ? null : kept;
        }
        catch (DeviceException e) when (e.Failure == DeviceFailure.OutOfMemory)
        {
            // A full card says nothing about its kernels: loading the model will say what there is no room for.
            return (device, null);
        }

        if (kept is null) _kept.Keep(key, fault ?? Right);
        if (fault is null) return (device, null);
        if (device.Kernels == DeviceInfo.PortableKernels)
            throw new DeviceException(
                $"{device.Id} ({device.Name}) computes wrong results with its driver, {device.Driver}, and is not used: {fault}. Update "
                + $"the driver, or use {OptionName.Device.Of("cpu")}; ldlvk selftest shows all that is wrong.");
        if (device.KernelChoice == KernelChoice.Matrix)
            throw new DeviceException(
                $"{device.Id} ({device.Name}) computes wrong results on its matrix units with its driver, {device.Driver}: {fault}. Use "
                + $"{OptionName.Kernels.Of("portable")}; ldlvk selftest shows all that is wrong.");
        return (Fallback(Check(portable(device)).Device), kept is not null ? null : (Notice)(
            $"{device.Id} ({device.Name}) computes wrong results on its matrix units with its driver, {device.Driver}, and runs portable "
            + $"kernels from now on: {fault}. ldlvk selftest shows all that is wrong."));
    }

    /// <summary>A device as <see cref="Check"/> would give it by what is kept, without testing it.</summary>
    public DeviceInfo Known(DeviceInfo device) =>
        device.IsProcessor || device.KernelChoice != KernelChoice.Auto || device.Kernels == DeviceInfo.PortableKernels
            || _kept.Find(KeptFacts.Key(device, Build)) is null or Right ? device : Fallback(portable(device));

    private static DeviceInfo Fallback(DeviceInfo device) =>
        device with { WhyKernels = "the others failed the self-test with this driver" };

    private static DeviceInfo Portable(DeviceInfo device) =>
        ComputeDevices.Enumerate(KernelChoice.Portable).Single(other => other.Id == device.Id);

    private static string? Test(DeviceInfo device)
    {
        using IDevice opened = ComputeDevices.Open(device);
        CheckResult? wrong = DeviceSelfTest.Run(opened, quick: true, untilFault: true).FirstOrDefault(check => check.Fault is not null);
        return wrong is null ? null : $"{wrong.Op} {wrong.Variant}: {wrong.Fault}";
    }
}
