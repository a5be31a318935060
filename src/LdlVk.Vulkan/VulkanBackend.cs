using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan;

/// <summary>The Vulkan backend: finds devices and opens them as <see cref="IDevice"/>.</summary>
public static class VulkanBackend
{
    /// <summary>Whether this process runs in a container for which NVIDIA's toolkit was asked for a card.</summary>
    public static bool IsGpuExpected => MissingDriver.IsWithToolkit(Environment.GetEnvironmentVariable);

    /// <summary>All usable devices in the loader's order, <c>vulkan:0</c>, <c>vulkan:1</c>, …; empty where there is no Vulkan.</summary>
    public static IReadOnlyList<DeviceInfo> Enumerate(KernelChoice kernels = KernelChoice.Auto) => Enumerate(out _, kernels);

    /// <summary>As <see cref="Enumerate(KernelChoice)"/>, with the reason if the list is empty.</summary>
    public static IReadOnlyList<DeviceInfo> Enumerate(out string? whyNone, KernelChoice kernels = KernelChoice.Auto) =>
        Enumerate(Vk.GetApi, out whyNone, kernels);

    /// <summary>As <see cref="Enumerate(out string?, KernelChoice)"/>, with the caller's loader.</summary>
    internal static IReadOnlyList<DeviceInfo> Enumerate(Func<Vk> loader, out string? whyNone, KernelChoice kernels = KernelChoice.Auto)
    {
        using VulkanInstance? instance = VulkanInstance.TryCreate(loader, out whyNone);
        if (instance is null) return [];
        IReadOnlyList<PhysicalDevice> devices = instance.PhysicalDevices(out string? whyNot);
        whyNone = devices.Count == 0 ? whyNot : null;
        PhysicalDeviceFacts[] facts = [.. devices.Select(d => PhysicalDeviceFacts.Of(instance, d, kernels))];
        return [.. facts.Select((f, i) => f.ToInfo(i, LinearKernels.FamilyFor(f)) with { SameCardAs = SameCard(facts, i) })];
    }

    /// <summary>Why graphics cards that a driver lists cannot run the kernels; empty if all can.</summary>
    public static IReadOnlyList<string> RefusedCards()
    {
        using VulkanInstance? instance = VulkanInstance.TryCreate(Vk.GetApi, out _);
        return instance is null ? [] : [.. instance.RefusedCards()];
    }

    /// <summary>The device to use instead of device <paramref name="index"/>, since it is the same card; null for none.</summary>
    private static string? SameCard(PhysicalDeviceFacts[] facts, int index)
    {
        if (facts[index].Kind == DeviceKind.Software) return null;
        // Of a card's drivers its own is better than one over another API; else the loader's order counts.
        int best = Enumerable.Range(0, facts.Length).Where(i => facts[i].Card.Is(facts[index].Card))
            .OrderBy(i => facts[i].IsLayered).First();
        return best == index ? null : $"vulkan:{best}";
    }

    /// <summary>Opens the device <c>vulkan:<paramref name="index"/></c>.</summary>
    /// <param name="index">Its number, from 0.</param>
    /// <param name="useKeptKernels">Whether to use kernels compiled in earlier runs and keep new ones; else all kernels are compiled
    /// again.</param>
    /// <param name="memoryLimit">Bytes of device memory to take from the driver at most, for weights and activations; null for no
    /// limit.</param>
    /// <param name="kernels">Which kernels it runs.</param>
    /// <exception cref="UsageException">There is no such device; the message says how many there are.</exception>
    /// <exception cref="DeviceException">The driver refused.</exception>
    public static IDevice Open(int index, bool useKeptKernels = true, long? memoryLimit = null, KernelChoice kernels = KernelChoice.Auto) =>
        Open(Vk.GetApi, index, null, useKeptKernels ? CacheFile.DefaultFolder : null, memoryLimit: memoryLimit, kernels: kernels);

    /// <summary>
    /// As <see cref="Open(int, bool, long?, KernelChoice)"/>, with the caller's family of kernels and upload queue, so that each can be
    /// tested on any device.
    /// </summary>
    internal static IDevice Open(int index, LinearFamily? linear, UploadQueue upload = UploadQueue.Auto, long? memoryLimit = null) =>
        Open(Vk.GetApi, index, linear, CacheFile.DefaultFolder, upload, memoryLimit);

    /// <summary>
    /// As <see cref="Open(int, bool, long?, KernelChoice)"/>, with the caller's loader, family, folder for compiled kernels and upload
    /// queue.
    /// </summary>
    internal static VulkanDevice Open(
        Func<Vk> loader, int index, LinearFamily? linear, string? cacheFolder, UploadQueue upload = UploadQueue.Auto,
        long? memoryLimit = null, KernelChoice kernels = KernelChoice.Auto, bool statistics = false)
    {
        VulkanInstance instance = VulkanInstance.TryCreate(loader, out string? whyNot)
            ?? throw new UsageException($"Device vulkan:{index} cannot be opened: {whyNot}.");
        try
        {
            IReadOnlyList<PhysicalDevice> devices = instance.PhysicalDevices(out whyNot);
            if (index < 0 || index >= devices.Count)
            {
                string reasons = whyNot is null ? "" : $": {whyNot}";
                throw new UsageException(
                    $"There is no device vulkan:{index}; {devices.Count} usable Vulkan devices were found (see `ldlvk devices`){reasons}.");
            }

            return new VulkanDevice(
                instance, devices[index], index, new VulkanOptions(linear, kernels, cacheFolder, upload, memoryLimit, statistics))
            {
                OpenAgain = (queue, ask) => Open(loader, index, linear, cacheFolder, queue, memoryLimit, kernels, ask),
            };
        }
        catch
        {
            instance.Dispose();
            throw;
        }
    }
}
