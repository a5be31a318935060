using LdlVk.Vulkan.Kernels;

namespace LdlVk.Vulkan.Device;

/// <summary>How a device is opened.</summary>
/// <param name="Family">The family of its kernels; null for the one that suits it.</param>
/// <param name="Kernels">The kernels among which that family is chosen.</param>
/// <param name="CacheFolder">Folder for compiled kernels; null to keep none.</param>
/// <param name="Upload">The queue for uploads.</param>
/// <param name="MemoryLimit">Bytes of device memory to take from the driver at most; null for no limit.</param>
/// <param name="Statistics">Whether the driver is asked about kernels that it compiles, if it can be asked.</param>
internal sealed record VulkanOptions(
    LinearFamily? Family, KernelChoice Kernels, string? CacheFolder, UploadQueue Upload, long? MemoryLimit, bool Statistics = false);
