using System.Globalization;
using LdlVk.Cpu;
using LdlVk.DirectML;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Formatting;
using LdlVk.Scoring;
using LdlVk.Vulkan;

namespace LdlVk;

/// <summary>The devices of this machine, over all backends. The only place that knows which backends there are.</summary>
public static class ComputeDevices
{
    private const string Vulkan = "vulkan:", DirectML = "directml:";

    /// <summary>The environment's choice of kernels, which counts where the caller makes none.</summary>
    private const string KernelsVariable = "LDLVK_KERNELS";

    /// <summary>All devices, GPUs first.</summary>
    /// <param name="kernels">
    /// Which kernels Vulkan devices run; <see cref="KernelChoice.Auto"/> follows LDLVK_KERNELS, if that is set.
    /// </param>
    /// <exception cref="UsageException">LDLVK_KERNELS is no such choice.</exception>
    public static IReadOnlyList<DeviceInfo> Enumerate(KernelChoice kernels = KernelChoice.Auto) =>
        [.. VulkanBackend.Enumerate(Wanted(kernels)), .. DirectMLBackend.Enumerate(), .. CpuBackend.Enumerate()];

    /// <summary>A device with the kernels that scoring runs, where those that its driver offers have failed the self-test.</summary>
    public static DeviceInfo AsScored(DeviceInfo device) => KernelTrust.Default.Known(device);

    /// <summary>Keeps that a device passed the self-test with its kernels, whatever an earlier one found with this driver.</summary>
    /// <param name="device">The device.</param>
    /// <param name="quick">Whether it was a quick one, which leaves sums in fp16 out.</param>
    public static void Trust(DeviceInfo device, bool quick)
    {
        KernelTrust.Default.Passed(device);
        if (!quick) HalfSumTrust.Default.Passed(device);
    }

    /// <summary>Why no Vulkan device is listed; null if one is.</summary>
    public static Notice? WhyNoVulkan() => VulkanBackend.Enumerate(out string? why).Count == 0 && why is not null ? (Notice)why : null;

    /// <summary>
    /// Why no Vulkan device is listed in a container for which NVIDIA's toolkit was asked for a card; null if one is listed, or no card was
    /// asked for.
    /// </summary>
    public static Notice? WhyNoExpectedGpu() => VulkanBackend.IsGpuExpected ? WhyNoVulkan() : null;

    /// <summary>Why graphics cards are not listed that a Vulkan driver has, whether or not others are; null if each is.</summary>
    public static Notice? WhyNoCard() =>
        VulkanBackend.RefusedCards() is { Count: > 0 } cards ? (Notice)string.Join("; ", cards) : null;

    /// <summary>Why no DirectML device is listed; null if one is.</summary>
    public static Notice? WhyNoDirectML() => DirectMLBackend.Enumerate(out Notice? why).Count == 0 ? why : null;

    /// <summary>
    /// The devices a name stands for, best first. <c>auto</c>: every real GPU that has Vulkan, then the CPU, and never a software driver;
    /// <c>vulkan</c> and <c>directml</c>: every device of that backend, software drivers last; <c>cpu</c>, <c>vulkan:N</c> and
    /// <c>directml:N</c>: that one. A card that two drivers offer counts once, unless it is named by its number.
    /// </summary>
    /// <param name="name">The name.</param>
    /// <param name="kernels">As for <see cref="Enumerate"/>; where it asks for matrix units, devices without them do not count.</param>
    /// <exception cref="UsageException">There is no such device; the message lists those there are.</exception>
    public static IReadOnlyList<DeviceInfo> Candidates(string name, KernelChoice kernels = KernelChoice.Auto)
    {
        IReadOnlyList<DeviceInfo> all = Enumerate(kernels);
        ArgumentNullException.ThrowIfNull(name);
        name = name.ToLowerInvariant();
        DeviceInfo[] found = name switch
        {
            "auto" => [.. all.Where(d => d.Kind != DeviceKind.Software && !Is(d, DirectML) && d.SameCardAs is null)],
            "vulkan" => [.. all.Where(d => Is(d, Vulkan) && d.SameCardAs is null)],
            "directml" => [.. all.Where(d => Is(d, DirectML))],
            _ => [.. all.Where(d => d.Id == name)],
        };
        if (found.Length > 0) return [.. WithKernels(found, Wanted(kernels)).OrderBy(d => d.Kind).ThenByDescending(d => d.MemoryBytes)];
        Notice? reason = null;
        if (name.StartsWith("vulkan", StringComparison.Ordinal)) reason = WhyNoVulkan() ?? WhyNoCard();
        else if (name.StartsWith("directml", StringComparison.Ordinal)) reason = WhyNoDirectML();
        Notice why = reason is null ? "" : (Notice)$" ({reason})";
        throw new UsageException($"There is no device '{name}'{why}. Here are: {Names(all)}, and auto picks one.");
    }

    /// <summary>The devices that names with commas between them stand for, one each, in that order; a name may be there twice.</summary>
    /// <exception cref="UsageException">There is no such device; the message lists those there are.</exception>
    public static IReadOnlyList<DeviceInfo> Named(string names, KernelChoice kernels = KernelChoice.Auto) =>
        [.. names.Split(',').Select(name => Candidates(name.Trim(), kernels)[0])];

    /// <summary>Opens a device by its <see cref="DeviceInfo.Id"/>, with its <see cref="DeviceInfo.KernelChoice"/>.</summary>
    /// <param name="device">Which.</param>
    /// <param name="memoryLimit">Bytes of its memory that may be used; null for all.</param>
    /// <param name="useKeptKernels">Whether kernels that were compiled in earlier runs are used, and new ones kept; else all are
    /// compiled.</param>
    /// <exception cref="UsageException">No backend has a device of that id.</exception>
    /// <exception cref="DeviceException">The driver refused.</exception>
    public static IDevice Open(DeviceInfo device, long? memoryLimit = null, bool useKeptKernels = true)
    {
        if (device.Id == CpuBackend.DeviceId) return CpuBackend.Open(device.Id, memoryLimit);
        if (Number(device, Vulkan) is { } vulkan) return VulkanBackend.Open(vulkan, useKeptKernels, memoryLimit, device.KernelChoice);
        if (Number(device, DirectML) is { } directML) return DirectMLBackend.Open(directML, memoryLimit);
        throw new UsageException($"There is no device '{device.Id}'.");
    }

    /// <summary>Those with matrix units, if they are asked for.</summary>
    private static IReadOnlyList<DeviceInfo> WithKernels(IReadOnlyList<DeviceInfo> devices, KernelChoice kernels)
    {
        if (kernels != KernelChoice.Matrix) return devices;
        DeviceInfo[] able = [.. devices.Where(d => d.Kernels != DeviceInfo.PortableKernels)];
        return able.Length > 0 ? able : throw new UsageException(
            $"{string.Join(", ", devices.Select(d => $"{d.Id} ({d.Name})"))}: no matrix units that the kernels can use. "
            + $"Use {OptionName.Kernels.Of("portable")}, or another {OptionName.Device}.");
    }

    private static KernelChoice Wanted(KernelChoice kernels) =>
        kernels != KernelChoice.Auto || Environment.GetEnvironmentVariable(KernelsVariable) is not { Length: > 0 } text ? kernels
        : Enum.TryParse(text, ignoreCase: true, out KernelChoice choice) && Enum.IsDefined(choice) && !char.IsDigit(text[0]) ? choice
        : throw new UsageException($"{KernelsVariable} is {Readable.Quoted(text)}; it can be auto, portable or matrix.");

    private static bool Is(DeviceInfo device, string backend) => device.Id.StartsWith(backend, StringComparison.Ordinal);

    private static int? Number(DeviceInfo device, string backend) =>
        Is(device, backend)
        && int.TryParse(device.Id.AsSpan(backend.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int index) ? index : null;

    private static string Names(IEnumerable<DeviceInfo> devices) => string.Join(", ", devices.Select(d => $"{d.Id} ({d.Name})"));
}
