using System.Globalization;
using LdlVk.Cpu;
using LdlVk.Runtime;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan;

namespace LdlVk;

/// <summary>The devices of this machine, over all backends. The only place that knows which backends there are.</summary>
public static class ComputeDevices
{
    /// <summary>All devices, GPUs first.</summary>
    public static IReadOnlyList<DeviceInfo> Enumerate() => [.. VulkanBackend.Enumerate(), .. CpuBackend.Enumerate()];

    /// <summary>Why no Vulkan device is listed; null if one is.</summary>
    public static string? WhyNoVulkan() => VulkanBackend.Enumerate(out string? why).Count == 0 ? why : null;

    /// <summary>
    /// The devices a name stands for, best first. <c>auto</c>: every real GPU, then the CPU, and never a software driver; <c>vulkan</c>:
    /// every Vulkan device, software drivers last; <c>cpu</c> and <c>vulkan:N</c>: that one.
    /// </summary>
    /// <exception cref="UsageException">There is no such device; the message lists those there are.</exception>
    public static IReadOnlyList<DeviceInfo> Candidates(string name)
    {
        IReadOnlyList<DeviceInfo> all = Enumerate();
        DeviceInfo[] found = name switch
        {
            "auto" => [.. all.Where(d => d.Kind != DeviceKind.Software)],
            "vulkan" => [.. all.Where(d => d.Id.StartsWith("vulkan:", StringComparison.Ordinal))],
            _ => [.. all.Where(d => d.Id == name)],
        };
        if (found.Length > 0) return [.. found.OrderBy(d => d.Kind).ThenByDescending(d => d.MemoryBytes)];
        string why = name.StartsWith("vulkan", StringComparison.Ordinal) && WhyNoVulkan() is { } reason ? $" ({reason})" : "";
        throw new UsageException($"There is no device '{name}'{why}. Here are: {Names(all)}, and auto picks one.");
    }

    /// <summary>The devices that names with commas between them stand for, one each, in that order; a name may be there twice.</summary>
    /// <exception cref="UsageException">There is no such device; the message lists those there are.</exception>
    public static IReadOnlyList<DeviceInfo> Named(string names) => [.. names.Split(',').Select(name => Candidates(name.Trim())[0])];

    /// <summary>Opens a device by its <see cref="DeviceInfo.Id"/>.</summary>
    /// <param name="device">Which.</param>
    /// <param name="memoryLimit">Bytes of its memory that may be used; null for all.</param>
    /// <param name="useKeptKernels">Whether kernels that were compiled in earlier runs are used, and new ones kept; else all are compiled.</param>
    /// <exception cref="UsageException">No backend has a device of that id.</exception>
    /// <exception cref="DeviceException">The driver refused.</exception>
    public static IDevice Open(DeviceInfo device, long? memoryLimit = null, bool useKeptKernels = true)
    {
        if (device.Id == CpuBackend.DeviceId) return CpuBackend.Open(device.Id, memoryLimit);
        const string Vulkan = "vulkan:";
        return device.Id.StartsWith(Vulkan, StringComparison.Ordinal) && int.TryParse(device.Id.AsSpan(Vulkan.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int index)
            ? VulkanBackend.Open(index, useKeptKernels, memoryLimit)
            : throw new UsageException($"There is no device '{device.Id}'.");
    }

    private static string Names(IEnumerable<DeviceInfo> devices) => string.Join(", ", devices.Select(d => $"{d.Id} ({d.Name})"));
}
