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
        Assert.Contains("0 devices: the Vulkan loader found no usable driver; correct VK_DRIVER_FILES, which is /nonexistent, or unset it", output);
        Assert.Contains("Device vulkan:0 cannot be opened: the Vulkan loader found no usable driver", output);
    }

    /// <summary>A container without a driver is told what its engine must give it; the toolkit's default is without graphics.</summary>
    [Theory]
    [InlineData("VK_DRIVER_FILES=/a.json", true, "correct VK_DRIVER_FILES, which is /a.json, or unset it; VK_LOADER_DEBUG=error,warn")]
    [InlineData("VK_ICD_FILENAMES=/b.json NVIDIA_VISIBLE_DEVICES=all", true, "correct VK_ICD_FILENAMES, which is /b.json, or unset it")]
    [InlineData("", false, "install the GPU's driver (on Debian/Ubuntu: apt install mesa-vulkan-drivers)")]
    [InlineData("NVIDIA_VISIBLE_DEVICES=void", false, "install the GPU's driver (on")]
    [InlineData("", true, "pass /dev/dri in; or use NVIDIA's container toolkit with NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility")]
    [InlineData("container=podman", false, "in a container, install the GPU's driver in the image")]
    [InlineData("KUBERNETES_SERVICE_HOST=10.0.0.1", false, "in a container, install the GPU's driver in the image")]
    [InlineData("NVIDIA_VISIBLE_DEVICES=all", true, "if NVIDIA_DRIVER_CAPABILITIES has graphics in it; it is not set")]
    [InlineData("NVIDIA_VISIBLE_DEVICES=0 NVIDIA_DRIVER_CAPABILITIES=compute,utility", true, "has graphics in it; it is compute,utility")]
    [InlineData("NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=all", false, "start it with a GPU, where NVIDIA's driver is")]
    [InlineData("NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,graphics", false, "start it with a GPU")]
    public void Without_a_driver_the_way_on_is_that_of_the_place(string environment, bool isContainer, string words)
    {
        Dictionary<string, string> variables = environment.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(v => v.Split('=')).ToDictionary(v => v[0], v => v[1]);
        string reason = MissingDriver.ReasonFor(name => variables.GetValueOrDefault(name), isContainer);
        Assert.StartsWith("the Vulkan loader found no usable driver; ", reason, StringComparison.Ordinal);
        Assert.Contains(words, reason, StringComparison.Ordinal);
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
            (able with { ComputeFamily = null }, "no queue that computes"),
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
