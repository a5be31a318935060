using LdlVk.Runtime.Devices;
using LdlVk.Testing;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;
using Silk.NET.Vulkan;

// Tests run one after the other: several measure the memory of the process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace LdlVk.Vulkan.Tests;

/// <summary>Base of the Vulkan backend's tests: the drivers present, and devices without a file of compiled kernels.</summary>
public abstract class VulkanTest
{
    /// <summary>The index of each Vulkan device of this machine.</summary>
    public static TheoryData<int> Drivers => [.. Enumerable.Range(0, VulkanBackend.Enumerate().Count)];

    internal static VulkanDevice Open(int index, Func<Vk>? loader = null, string? cacheFolder = null, LinearFamily? linear = null, UploadQueue upload = UploadQueue.Auto, long? memoryLimit = null) =>
        VulkanBackend.Open(loader ?? Vk.GetApi, index, linear, cacheFolder, upload, memoryLimit);

    internal static float[] Read(IDevice device, ITensor tensor) => DeviceProbe.Read(device, tensor);

    internal static void AssertWorks(IDevice device) => DeviceProbe.AssertWorks(device);
}
