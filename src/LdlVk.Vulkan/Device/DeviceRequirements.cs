using LdlVk.Vulkan.Kernels;
using Silk.NET.Core;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Device;

/// <summary>The properties of a physical device that the backend requires.</summary>
internal sealed unsafe record DeviceRequirements
{
    public required string Name { get; init; }
    public required Version32 Version { get; init; }
    public bool BufferDeviceAddress { get; init; }
    public bool TimelineSemaphore { get; init; }
    public uint? ComputeFamily { get; init; }
    public bool IsSoftware { get; init; }
    public required uint SharedMemoryBytes { get; init; }
    public required uint WorkgroupInvocations { get; init; }

    /// <summary>Null if the backend can run on the device, else the device's name and the reason.</summary>
    public string? Unmet() =>
        Version.Value < Vk.Version12.Value ? $"{Name} offers Vulkan {Version.Major}.{Version.Minor}, and 1.2 is needed; update its driver"
        : !BufferDeviceAddress ? $"{Name} has no buffer device addresses; update its driver"
        : !TimelineSemaphore ? $"{Name} has no timeline semaphores; update its driver"
        : ComputeFamily is null ? $"{Name} has no queue that computes"
        : SharedMemoryBytes < KernelLimits.SharedMemoryBytes
            ? $"{Name} has {SharedMemoryBytes} bytes of shared memory, and the kernels need {KernelLimits.SharedMemoryBytes}"
        : WorkgroupInvocations < KernelLimits.WorkgroupInvocations
            ? $"{Name} runs workgroups of {WorkgroupInvocations}, and the kernels need {KernelLimits.WorkgroupInvocations}"
        : null;

    public static DeviceRequirements Of(Vk api, PhysicalDevice device)
    {
        api.GetPhysicalDeviceProperties(device, out PhysicalDeviceProperties properties);
        var v12 = new PhysicalDeviceVulkan12Features(sType: StructureType.PhysicalDeviceVulkan12Features);
        // A device of an older version does not know the structure.
        if (properties.ApiVersion >= Vk.Version12.Value)
        {
            var features = new PhysicalDeviceFeatures2(pNext: &v12);
            api.GetPhysicalDeviceFeatures2(device, &features);
        }

        PhysicalDeviceLimits limits = properties.Limits;
        return new DeviceRequirements
        {
            Name = NativeStrings.Read(properties.DeviceName),
            Version = (Version32)properties.ApiVersion,
            BufferDeviceAddress = v12.BufferDeviceAddress,
            TimelineSemaphore = v12.TimelineSemaphore,
            ComputeFamily = ComputeFamilyOf(api, device),
            IsSoftware = properties.DeviceType == PhysicalDeviceType.Cpu,
            SharedMemoryBytes = limits.MaxComputeSharedMemorySize,
            WorkgroupInvocations = limits.MaxComputeWorkGroupInvocations,
        };
    }

    /// <summary>The first queue family with compute. On all desktop drivers it also draws, and is never slower than others.</summary>
    public static uint? ComputeFamilyOf(Vk api, PhysicalDevice device)
    {
        int index = Array.FindIndex(QueueFamiliesOf(api, device), f => f.QueueFlags.HasFlag(QueueFlags.ComputeBit));
        return index < 0 ? null : (uint)index;
    }

    public static QueueFamilyProperties[] QueueFamiliesOf(Vk api, PhysicalDevice device)
    {
        uint count = 0;
        api.GetPhysicalDeviceQueueFamilyProperties(device, ref count, null);
        var families = new QueueFamilyProperties[count];
        fixed (QueueFamilyProperties* p = families) api.GetPhysicalDeviceQueueFamilyProperties(device, ref count, p);
        return families;
    }
}
