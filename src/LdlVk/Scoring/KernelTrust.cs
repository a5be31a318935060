using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using LdlVk.Vulkan;

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
    private const string Right = "right", Unknown = "unknown", Ended = "the process ended during the self-test, as when a driver crashes";

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
        string? kept = _kept.Find(key), fault = Fault(kept);
        // Kernels that someone asks for although a driver seemed to crash on them get another chance.
        bool again = fault == Ended && device.KernelChoice == KernelChoice.Matrix && device.Kernels != DeviceInfo.PortableKernels;
        bool isNew = TestMark.Is(kept);
        if (again || !IsKnown(kept))
        {
            try
            {
                (fault, isNew) = (Tested(device, key), true);
            }
            catch (DeviceException e) when (e.Failure == DeviceFailure.OutOfMemory)
            {
                // A full card says nothing about its kernels: loading the model will say what there is no room for.
                return (device, null);
            }
        }

        if (isNew) _kept.Keep(key, fault ?? Right);
        if (fault is null) return (device, null);
        string card = $"{device.Id} ({device.Name})";
        bool hangs = fault == Ended || fault.Contains(DeviceSelfTest.DoesNotEnd, StringComparison.Ordinal);
        string wrong = hangs ? "did not end the self-test" : "computes wrong results";
        if (device.Kernels == DeviceInfo.PortableKernels)
            throw new DeviceException(
                $"{card} {wrong} with its driver, {device.Driver}, and is not used: {fault}. Update the driver, or use "
                + $"{OptionName.Device.Of("cpu")}; ldlvk selftest shows all that is wrong, and a device that passes it is used again.");
        if (device.KernelChoice == KernelChoice.Matrix)
            throw new DeviceException(
                $"{card} {wrong} on its matrix units with its driver, {device.Driver}: {fault}. Use "
                + $"{OptionName.Kernels.Of("portable")}; ldlvk selftest shows all that is wrong.");
        Notice wayOut = fault != Ended ? "ldlvk selftest shows all that is wrong"
            : (Notice)$"ldlvk selftest tests the others again, and so does {OptionName.Kernels.Of("matrix")}: if they pass, they are used";
        return (Fallback(Check(portable(device)).Device), !isNew ? null : (Notice)(
            $"{card} {wrong} on its matrix units with its driver, {device.Driver}, and runs portable kernels from now on: {fault}. "
            + $"{wayOut}."));
    }

    /// <summary>A device as <see cref="Check"/> would give it by what is kept, without testing it.</summary>
    public DeviceInfo Known(DeviceInfo device) =>
        device.IsProcessor || device.KernelChoice != KernelChoice.Auto || device.Kernels == DeviceInfo.PortableKernels
            || Fault(_kept.Find(KeptFacts.Key(device, Build))) is null ? device : Fallback(portable(device));

    /// <summary>Keeps that a device passed a self-test.</summary>
    public void Passed(DeviceInfo device)
    {
        if (!device.IsProcessor) _kept.Keep(KeptFacts.Key(device, Build), Right);
    }

    /// <summary>Tests a device. Until that has ended, a mark says that it has begun.</summary>
    private string? Tested(DeviceInfo device, string key)
    {
        _kept.Keep(key, TestMark.Own);
        try
        {
            return test(device);
        }
        catch
        {
            _kept.Keep(key, Unknown);
            throw;
        }
    }

    /// <summary>Whether a kept line is a verdict; the mark of a process that still runs is none.</summary>
    private static bool IsKnown(string? kept) => kept is not null and not Unknown && (!TestMark.Is(kept) || TestMark.IsOfDead(kept));

    /// <summary>What is wrong by a kept line; null for nothing, or where it is no verdict.</summary>
    private static string? Fault(string? kept) => !IsKnown(kept) || kept == Right ? null : TestMark.Is(kept) ? Ended : kept;

    private static DeviceInfo Fallback(DeviceInfo device) =>
        device with { WhyKernels = "the others failed the self-test with this driver" };

    private static DeviceInfo Portable(DeviceInfo device) =>
        ComputeDevices.Enumerate(KernelChoice.Portable).Single(other => other.Id == device.Id);

    private static string? Test(DeviceInfo device)
    {
        IDevice opened = ComputeDevices.Open(device);
        IReadOnlyList<CheckResult> checks = [];
        try
        {
            checks = DeviceSelfTest.Run(opened, quick: true, untilFault: true);
        }
        finally
        {
            DeviceSelfTest.Close(opened, checks);
        }

        CheckResult? wrong = checks.FirstOrDefault(check => check.Fault is not null);
        return wrong is null ? null : $"{wrong.Op} {wrong.Variant}: {wrong.Fault}";
    }
}
