using LdlVk.Runtime;
using LdlVk.Runtime.Devices;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan;

/// <summary>The Vulkan backend: finds devices and opens them as <see cref="IDevice"/>.</summary>
public static class VulkanBackend
{
    /// <summary>All usable devices in the loader's order, <c>vulkan:0</c>, <c>vulkan:1</c>, …; empty where there is no Vulkan.</summary>
    public static IReadOnlyList<DeviceInfo> Enumerate() => Enumerate(out _);

    /// <summary>As <see cref="Enumerate()"/>, and why there are none where the list is empty.</summary>
    public static IReadOnlyList<DeviceInfo> Enumerate(out string? whyNone)
    {
        using VulkanInstance? instance = VulkanInstance.TryCreate(out whyNone);
        if (instance is null) return [];
        DeviceInfo[] devices = [.. instance.PhysicalDevices().Select((d, i) => PhysicalDeviceFacts.Of(instance.Api, d).ToInfo(i))];
        if (devices.Length == 0) whyNone = "no device offers Vulkan 1.2 with compute, timeline semaphores and buffer device addresses; update the GPU's driver";
        return devices;
    }

    /// <summary>Opens the device <c>vulkan:<paramref name="index"/></c>.</summary>
    /// <exception cref="UsageException">There is no such device; the message lists those there are.</exception>
    /// <exception cref="DeviceException">The driver refused.</exception>
    public static IDevice Open(int index) => Open(index, null);

    /// <summary>As <see cref="Open(int)"/>, with a kernel family of the caller's choice, so that each can be tested on any device.</summary>
    internal static IDevice Open(int index, LinearFamily? linear)
    {
        VulkanInstance instance = VulkanInstance.TryCreate(out string? whyNot)
            ?? throw new UsageException($"Device vulkan:{index} cannot be opened: {whyNot}.");
        try
        {
            IReadOnlyList<PhysicalDevice> devices = instance.PhysicalDevices();
            if (index < 0 || index >= devices.Count)
                throw new UsageException($"There is no device vulkan:{index}; {devices.Count} Vulkan devices were found (see `ldlvk devices`).");
            return new VulkanDevice(instance, devices[index], index, linear);
        }
        catch
        {
            instance.Dispose();
            throw;
        }
    }
}
