using System.Runtime.InteropServices;
using LdlVk.Runtime.Devices;
using Silk.NET.Core;
using Silk.NET.Core.Native;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan;

/// <summary>The Vulkan loader and one instance: finds the physical devices. Owns the instance handle.</summary>
internal sealed unsafe class VulkanInstance : IDisposable
{
    /// <summary>Vulkan 1.2 brings timeline semaphores and buffer device addresses into core; nothing newer is required.</summary>
    private static readonly Version32 RequiredVersion = Vk.Version12;

    public Vk Api { get; }

    public Instance Handle { get; private set; }

    private VulkanInstance(Vk api, Instance handle) => (Api, Handle) = (api, handle);

    /// <summary>Opens the loader; null with a reason where this machine has none or it is too old.</summary>
    public static VulkanInstance? TryCreate(out string? whyNot)
    {
        Vk api;
        try
        {
            api = Vk.GetApi();
        }
        catch (Exception e) when (e is FileNotFoundException or DllNotFoundException or EntryPointNotFoundException)
        {
            whyNot = "no Vulkan loader (libvulkan.so.1 or vulkan-1.dll) was found; install the GPU's driver (on Debian/Ubuntu: apt install libvulkan1 mesa-vulkan-drivers)";
            return null;
        }

        nint name = SilkMarshal.StringToPtr("ldlvk");
        try
        {
            var application = new ApplicationInfo(pApplicationName: (byte*)name, pEngineName: (byte*)name, apiVersion: RequiredVersion);
            var create = new InstanceCreateInfo(pApplicationInfo: &application);
            Result result = api.CreateInstance(in create, null, out Instance instance);
            if (result != Result.Success)
            {
                whyNot = result == Result.ErrorIncompatibleDriver
                    ? "the Vulkan loader found no usable driver; install the GPU's driver (on Debian/Ubuntu: apt install mesa-vulkan-drivers)"
                    : $"vkCreateInstance answered {result}";
                api.Dispose();
                return null;
            }

            whyNot = null;
            return new VulkanInstance(api, instance);
        }
        finally
        {
            SilkMarshal.Free(name);
        }
    }

    /// <summary>All physical devices that can run the backend, in the loader's order.</summary>
    public IReadOnlyList<PhysicalDevice> PhysicalDevices()
    {
        uint count = 0;
        Result result = Api.EnumeratePhysicalDevices(Handle, ref count, null);
        if (result != Result.Success || count == 0) return [];
        var devices = new PhysicalDevice[count];
        fixed (PhysicalDevice* p = devices) Api.EnumeratePhysicalDevices(Handle, ref count, p).Check("vkEnumeratePhysicalDevices");
        return [.. devices.Take((int)count).Where(d => PhysicalDeviceFacts.WhyUnusable(Api, d) is null)];
    }

    public void Dispose()
    {
        if (Handle.Handle == 0) return;
        Api.DestroyInstance(Handle, null);
        Handle = default;
        Api.Dispose();
    }
}

/// <summary>What is asked of a physical device before it is opened.</summary>
internal sealed unsafe class PhysicalDeviceFacts
{
    private PhysicalDeviceFacts() { }

    public required PhysicalDeviceProperties Properties { get; init; }
    public required PhysicalDeviceMemoryProperties Memory { get; init; }
    public required string Name { get; init; }
    public required string Driver { get; init; }
    public required uint SubgroupSize { get; init; }
    public required bool HasSubgroupBroadcast { get; init; }
    public required ulong MaxAllocationBytes { get; init; }
    public required uint ComputeQueueFamily { get; init; }
    public required bool HasMemoryBudget { get; init; }
    public required bool HasFloat16 { get; init; }
    public required bool HasInt8 { get; init; }
    public required long DeviceBytes { get; init; }
    public required long FreeDeviceBytes { get; init; }

    public DeviceKind Kind => Properties.DeviceType switch
    {
        PhysicalDeviceType.DiscreteGpu => DeviceKind.DiscreteGpu,
        PhysicalDeviceType.IntegratedGpu => DeviceKind.IntegratedGpu,
        PhysicalDeviceType.VirtualGpu => DeviceKind.VirtualGpu,
        _ => DeviceKind.Software,
    };

    public DeviceInfo ToInfo(int index)
    {
        List<string> features = [$"vulkan {(Version32)Properties.ApiVersion}", $"subgroup {SubgroupSize}"];
        if (HasFloat16) features.Add("fp16");
        if (HasInt8) features.Add("int8");
        return new DeviceInfo($"vulkan:{index}", Name, Kind, Driver, DeviceBytes, FreeDeviceBytes, features);
    }

    /// <summary>Null if the backend can run there, else the reason.</summary>
    public static string? WhyUnusable(Vk api, PhysicalDevice device)
    {
        api.GetPhysicalDeviceProperties(device, out PhysicalDeviceProperties properties);
        if (properties.ApiVersion < Vk.Version12.Value) return "it supports less than Vulkan 1.2";
        var v12 = new PhysicalDeviceVulkan12Features(sType: StructureType.PhysicalDeviceVulkan12Features);
        var features = new PhysicalDeviceFeatures2(pNext: &v12);
        api.GetPhysicalDeviceFeatures2(device, &features);
        if (!v12.BufferDeviceAddress) return "it has no buffer device addresses";
        if (!v12.TimelineSemaphore) return "it has no timeline semaphores";
        return ComputeFamily(api, device) is null ? "it has no compute queue" : null;
    }

    public static PhysicalDeviceFacts Of(Vk api, PhysicalDevice device)
    {
        bool budget = HasExtension(api, device, "VK_EXT_memory_budget");
        var driver = new PhysicalDeviceDriverProperties(sType: StructureType.PhysicalDeviceDriverProperties);
        var subgroup = new PhysicalDeviceSubgroupProperties(pNext: &driver);
        var maintenance = new PhysicalDeviceMaintenance3Properties(pNext: &subgroup);
        var properties = new PhysicalDeviceProperties2(pNext: &maintenance);
        api.GetPhysicalDeviceProperties2(device, &properties);

        var free = new PhysicalDeviceMemoryBudgetPropertiesEXT(sType: StructureType.PhysicalDeviceMemoryBudgetPropertiesExt);
        var memory = new PhysicalDeviceMemoryProperties2(pNext: budget ? &free : null);
        api.GetPhysicalDeviceMemoryProperties2(device, &memory);
        long total = 0, available = 0;
        for (int i = 0; i < memory.MemoryProperties.MemoryHeapCount; i++)
        {
            MemoryHeap heap = memory.MemoryProperties.MemoryHeaps[i];
            if (!heap.Flags.HasFlag(MemoryHeapFlags.DeviceLocalBit)) continue;
            total += (long)heap.Size;
            available += budget ? (long)Math.Min(heap.Size, free.HeapBudget[i] - Math.Min(free.HeapUsage[i], free.HeapBudget[i])) : (long)heap.Size;
        }

        var v12 = new PhysicalDeviceVulkan12Features(sType: StructureType.PhysicalDeviceVulkan12Features);
        var features = new PhysicalDeviceFeatures2(pNext: &v12);
        api.GetPhysicalDeviceFeatures2(device, &features);
        PhysicalDeviceProperties p = properties.Properties;
        return new PhysicalDeviceFacts
        {
            Properties = p,
            Memory = memory.MemoryProperties,
            Name = Utf8(p.DeviceName),
            Driver = $"{Utf8(driver.DriverName)} {Utf8(driver.DriverInfo)}".Trim(),
            SubgroupSize = subgroup.SubgroupSize,
            HasSubgroupBroadcast = subgroup.SupportedStages.HasFlag(ShaderStageFlags.ComputeBit) && subgroup.SupportedOperations.HasFlag(SubgroupFeatureFlags.BallotBit),
            MaxAllocationBytes = maintenance.MaxMemoryAllocationSize,
            ComputeQueueFamily = ComputeFamily(api, device) ?? 0,
            HasMemoryBudget = budget,
            HasFloat16 = v12.ShaderFloat16,
            HasInt8 = v12.ShaderInt8,
            DeviceBytes = total,
            FreeDeviceBytes = available,
        };
    }

    public static bool HasExtension(Vk api, PhysicalDevice device, string name)
    {
        uint count = 0;
        api.EnumerateDeviceExtensionProperties(device, (byte*)null, ref count, null);
        var extensions = new ExtensionProperties[count];
        fixed (ExtensionProperties* p = extensions) api.EnumerateDeviceExtensionProperties(device, (byte*)null, ref count, p);
        foreach (ExtensionProperties e in extensions)
            if (Utf8(e.ExtensionName) == name) return true;
        return false;
    }

    /// <summary>The first family with compute: on all desktop drivers the one that also draws, which is never the slower one.</summary>
    private static uint? ComputeFamily(Vk api, PhysicalDevice device)
    {
        uint count = 0;
        api.GetPhysicalDeviceQueueFamilyProperties(device, ref count, null);
        var families = new QueueFamilyProperties[count];
        fixed (QueueFamilyProperties* p = families) api.GetPhysicalDeviceQueueFamilyProperties(device, ref count, p);
        int index = Array.FindIndex(families, f => f.QueueFlags.HasFlag(QueueFlags.ComputeBit));
        return index < 0 ? null : (uint)index;
    }

    private static string Utf8(byte* text) => Marshal.PtrToStringUTF8((nint)text) ?? "";
}
