using System.Globalization;
using LdlVk.Cpu;
using LdlVk.DirectML;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan;

namespace LdlVk;

/// <summary>The devices of this machine, over all backends. The only place that knows which backends there are.</summary>
public static class ComputeDevices
{
    private const string Vulkan = "vulkan:", DirectML = "directml:";

    /// <summary>All devices, GPUs first.</summary>
    public static IReadOnlyList<DeviceInfo> Enumerate() =>
        [.. VulkanBackend.Enumerate(), .. DirectMLBackend.Enumerate(), .. CpuBackend.Enumerate()];

    /// <summary>Why no Vulkan device is listed; null if one is.</summary>
    public static Notice? WhyNoVulkan() => VulkanBackend.Enumerate(out string? why).Count == 0 && why is not null ? (Notice)why : null;

    /// <summary>Why no DirectML device is listed; null if one is.</summary>
    public static Notice? WhyNoDirectML() => DirectMLBackend.Enumerate(out Notice? why).Count == 0 ? why : null;

    /// <summary>
    /// The devices a name stands for, best first. <c>auto</c>: every real GPU that has Vulkan, then the CPU, and never a software driver;
    /// <c>vulkan</c> and <c>directml</c>: every device of that backend, software drivers last; <c>cpu</c>, <c>vulkan:N</c> and
    /// <c>directml:N</c>: that one.
    /// </summary>
    /// <exception cref="UsageException">There is no such device; the message lists those there are.</exception>
    public static IReadOnlyList<DeviceInfo> Candidates(string name)
    {
        IReadOnlyList<DeviceInfo> all = Enumerate();
        ArgumentNullException.ThrowIfNull(name);
        name = name.ToLowerInvariant();
        DeviceInfo[] found = name switch
        {
            "auto" => [.. all.Where(d => d.Kind != DeviceKind.Software && !Is(d, DirectML))],
            "vulkan" => [.. all.Where(d => Is(d, Vulkan))],
            "directml" => [.. all.Where(d => Is(d, DirectML))],
            _ => [.. all.Where(d => d.Id == name)],
        };
        if (found.Length > 0) return [.. found.OrderBy(d => d.Kind).ThenByDescending(d => d.MemoryBytes)];
        Notice? reason = null;
        if (name.StartsWith("vulkan", StringComparison.Ordinal)) reason = WhyNoVulkan();
        else if (name.StartsWith("directml", StringComparison.Ordinal)) reason = WhyNoDirectML();
        Notice why = reason is null ? "" : (Notice)$" ({reason})";
        throw new UsageException($"There is no device '{name}'{why}. Here are: {Names(all)}, and auto picks one.");
    }

    /// <summary>The devices that names with commas between them stand for, one each, in that order; a name may be there twice.</summary>
    /// <exception cref="UsageException">There is no such device; the message lists those there are.</exception>
    public static IReadOnlyList<DeviceInfo> Named(string names) => [.. names.Split(',').Select(name => Candidates(name.Trim())[0])];

    /// <summary>Opens a device by its <see cref="DeviceInfo.Id"/>.</summary>
    /// <param name="device">Which.</param>
    /// <param name="memoryLimit">Bytes of its memory that may be used; null for all.</param>
    /// <param name="useKeptKernels">Whether kernels that were compiled in earlier runs are used, and new ones kept; else all are
    /// compiled.</param>
    /// <exception cref="UsageException">No backend has a device of that id.</exception>
    /// <exception cref="DeviceException">The driver refused.</exception>
    public static IDevice Open(DeviceInfo device, long? memoryLimit = null, bool useKeptKernels = true)
    {
        if (device.Id == CpuBackend.DeviceId) return CpuBackend.Open(device.Id, memoryLimit);
        if (Number(device, Vulkan) is { } vulkan) return VulkanBackend.Open(vulkan, useKeptKernels, memoryLimit);
        if (Number(device, DirectML) is { } directML) return DirectMLBackend.Open(directML, memoryLimit);
        throw new UsageException($"There is no device '{device.Id}'.");
    }

    private static bool Is(DeviceInfo device, string backend) => device.Id.StartsWith(backend, StringComparison.Ordinal);

    private static int? Number(DeviceInfo device, string backend) =>
        Is(device, backend)
        && int.TryParse(device.Id.AsSpan(backend.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int index) ? index : null;

    private static string Names(IEnumerable<DeviceInfo> devices) => string.Join(", ", devices.Select(d => $"{d.Id} ({d.Name})"));
}
