using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Kernels;

/// <summary>A device and its driver's version, as a part of the name of a cache file that belongs to them.</summary>
internal static unsafe class DriverKey
{
    /// <summary>The key of a device.</summary>
    public static string Of(PhysicalDeviceProperties p) =>
        $"{p.VendorID:x4}-{p.DeviceID:x4}-{p.DriverVersion:x}-{Convert.ToHexStringLower(new ReadOnlySpan<byte>(p.PipelineCacheUuid, 16))}";
}
