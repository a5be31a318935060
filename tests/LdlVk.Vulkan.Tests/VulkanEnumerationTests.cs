using LdlVk.Testing;
using LdlVk.Vulkan.Device;
using Silk.NET.Core;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Tests;

/// <summary>A machine without a loader, a driver or a usable device gives no devices and the reason, never a crash.</summary>
public sealed class VulkanEnumerationTests : VulkanTest
{
    [Fact]
    public async Task Without_a_driver_there_is_no_device()
    {
        (int exitCode, string output) = await VulkanChild.Run("list", ("VK_DRIVER_FILES", "/nonexistent"), ("VK_ICD_FILENAMES", "/nonexistent"), ("VK_INSTANCE_LAYERS", ""));
        Assert.Equal(0, exitCode);
        Assert.Contains("0 devices: the Vulkan loader found no usable driver; install", output);
        Assert.Contains("Device vulkan:0 cannot be opened: the Vulkan loader found no usable driver", output);
    }

    [Fact]
    public void Without_a_loader_there_is_no_device()
    {
        Vk NoLoader() => throw new FileNotFoundException("libvulkan.so.1");
        Assert.Empty(VulkanBackend.Enumerate(NoLoader, out string? why));
        Assert.StartsWith("no Vulkan loader", why);
        Assert.Contains("no Vulkan loader", Assert.Throws<UsageException>(() => Open(0, NoLoader)).Message);
    }

    [Fact]
    public void A_failing_loader_gives_no_device()
    {
        Assert.SkipWhen(Drivers.Count == 0, "no Vulkan loader here");
        foreach ((string call, Result result, string want) in new[]
        {
            ("vkCreateInstance", Result.ErrorIncompatibleDriver, "no usable driver"),
            ("vkCreateInstance", Result.ErrorLayerNotPresent, "ErrorLayerNotPresent"),
            ("vkEnumeratePhysicalDevices", Result.ErrorInitializationFailed, "no usable driver"),
        })
        {
            var vulkan = new FaultyVulkan { Fault = (name, _) => name == call ? result : Result.Success };
            Assert.Empty(VulkanBackend.Enumerate(vulkan.Load, out string? why));
            Assert.Contains(want, why);
            Assert.Equal(0, vulkan.Living);
        }
    }

    [Fact]
    public void Only_present_devices_can_be_opened()
    {
        foreach (int index in new[] { -1, Drivers.Count, int.MaxValue })
            Assert.Contains($"vulkan:{index}", Assert.Throws<UsageException>(() => Open(index)).Message);
    }

    [Fact]
    public void An_unusable_device_is_named_with_the_reason()
    {
        var able = new DeviceRequirements
        {
            Name = "Some GPU",
            Version = Vk.Version12,
            BufferDeviceAddress = true,
            TimelineSemaphore = true,
            ComputeFamily = 0,
            SharedMemoryBytes = 32768,
            WorkgroupInvocations = 256,
        };
        Assert.Null(able.Unmet());
        foreach ((DeviceRequirements device, string lack) in new[]
        {
            (able with { Version = new Version32(1, 1, 300) }, "offers Vulkan 1.1"),
            (able with { BufferDeviceAddress = false }, "buffer device addresses"),
            (able with { TimelineSemaphore = false }, "timeline semaphores"),
            (able with { ComputeFamily = null }, "cannot compute"),
            (able with { SharedMemoryBytes = 16384 }, "16384 bytes of shared memory"),
            (able with { WorkgroupInvocations = 128 }, "workgroups of 128"),
        })
        {
            Assert.StartsWith("Some GPU ", device.Unmet());
            Assert.Contains(lack, device.Unmet());
        }
    }

    [Fact]
    public void Free_memory_is_at_most_the_devices_memory() =>
        Assert.All(VulkanBackend.Enumerate(), (DeviceInfo d) => Assert.InRange(d.FreeMemoryBytes, 1, d.MemoryBytes));
}
