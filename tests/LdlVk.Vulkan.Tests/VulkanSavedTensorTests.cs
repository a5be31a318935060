using LdlVk.Runtime.Devices;
using LdlVk.Testing;
using LdlVk.Vulkan.Device;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Tests;

/// <summary>Tensors that go to host memory and back: what waits for what, and memory held.</summary>
public sealed class VulkanSavedTensorTests : VulkanTest
{
    /// <summary>On a queue of their own, copies wait for the last use of their own tensor, and only what uses it waits for them.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Copies_and_ops_wait_only_for_their_own_tensor(int driver)
    {
        var vulkan = new FaultyVulkan();
        using VulkanDevice device = Open(driver, vulkan.Load, upload: UploadQueue.Separate);
        ITensor a = device.CreateTensor(2, 64);
        using ITensor b = device.CreateTensor(2, 64), one = device.CreateTensor(2, 64);
        Use(a);
        FaultyVulkan.Submission usedA = vulkan.Submissions[^1];
        Use(b);
        IHostTensor? saved = null;
        FaultyVulkan.Submission copied = Assert.Single(vulkan.Submissions.During(() => saved = device.Save(a)));
        Assert.NotEqual(usedA.SignalledSemaphore, copied.SignalledSemaphore);
        Assert.Equal((usedA.SignalledSemaphore, usedA.SignalledValue), (copied.AwaitedSemaphore, copied.AwaitedValue));
        Assert.Equal(0UL, Assert.Single(vulkan.Submissions.During(() => Use(b))).AwaitedSemaphore);
        // Whoever has its memory next waits for the copy.
        a.Dispose();
        FaultyVulkan.Submission next = Assert.Single(vulkan.Submissions.During(() => Use(b)));
        Assert.Equal((copied.SignalledSemaphore, copied.SignalledValue), (next.AwaitedSemaphore, next.AwaitedValue));

        ITensor? restored = null;
        copied = Assert.Single(vulkan.Submissions.During(() => restored = device.Restore(saved!)));
        Assert.Equal(0UL, Assert.Single(vulkan.Submissions.During(() => Use(b))).AwaitedSemaphore);
        FaultyVulkan.Submission used = Assert.Single(vulkan.Submissions.During(() => Use(restored!)));
        Assert.Equal((copied.SignalledSemaphore, copied.SignalledValue), (used.AwaitedSemaphore, used.AwaitedValue));
        Assert.Equal(0UL, Assert.Single(vulkan.Submissions.During(() => Use(restored!))).AwaitedSemaphore);
        saved!.Dispose();
        restored!.Dispose();

        void Use(ITensor tensor)
        {
            device.Add(tensor, one);
            device.BeginRead(one).Dispose();
        }
    }

    /// <summary>The memory of what was given up serves what is saved next, and goes back to the driver when the device is closed.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Host_memory_is_used_again(int driver)
    {
        foreach (UploadQueue upload in Enum.GetValues<UploadQueue>())
        {
            var vulkan = new FaultyVulkan();
            VulkanDevice device = Open(driver, vulkan.Load, upload: upload);
            ITensor tensor = device.CreateTensor(5 << 18, 32); // 160 MiB, a block of its own
            device.Save(tensor).Dispose();
            ulong used = vulkan.UsedBytes;
            long peak = device.PeakBytes;
            for (int i = 0; i < 20; i++)
            {
                using IHostTensor saved = device.Save(tensor);
                Assert.Equal(160L << 20, device.PinnedBytes);
                if (i % 4 != 0) continue;
                tensor.Dispose();
                tensor = device.Restore(saved);
            }

            device.Read(tensor.View(0, 1), new float[32]);
            Assert.InRange(vulkan.UsedBytes, used, used + (160UL << 20) + (32UL << 20));
            Assert.InRange(device.PeakBytes, peak, peak + (160L << 20));
            Assert.Equal(0, device.PinnedBytes);
            IHostTensor last = device.Save(tensor);
            device.Dispose();
            Assert.Equal((0, 0L), (vulkan.Living, device.PinnedBytes));
            last.Dispose();
            tensor.Dispose();
        }
    }

    /// <summary>Where the driver has no more host memory, a save is an error that says so, and the device goes on.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Want_of_host_memory_is_an_error_that_leaves_the_device_whole(int driver)
    {
        var vulkan = new FaultyVulkan();
        using VulkanDevice device = Open(driver, vulkan.Load);
        using ITensor tensor = device.CreateTensor(4, 64);
        device.Write(tensor, 0, [.. Enumerable.Range(0, 256).Select(i => (float)i)]);
        vulkan.Fault = (name, _) => name == "vkAllocateMemory" ? Result.ErrorOutOfHostMemory : Result.Success;
        DeviceException e = Assert.Throws<DeviceException>(() => device.Save(tensor));
        Assert.Equal(DeviceFailure.OutOfMemory, e.Failure);
        Assert.Contains("in host memory", e.Message);
        vulkan.Fault = (_, _) => Result.Success;
        using IHostTensor saved = device.Save(tensor);
        using ITensor restored = device.Restore(saved);
        float[] values = new float[256];
        device.Read(restored, values);
        Assert.Equal(Enumerable.Range(0, 256).Select(i => (float)i), values);
    }
}
