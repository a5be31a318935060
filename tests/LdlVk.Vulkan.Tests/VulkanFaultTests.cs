using LdlVk.Runtime.Devices;
using LdlVk.Testing;
using LdlVk.Vulkan.Device;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Tests;

/// <summary>Every Vulkan call may fail: there is an error, nothing leaks, and unless the device is lost it still works.</summary>
public sealed class VulkanFaultTests : VulkanTest, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("ldlvk-faults").FullName;

    /// <summary>Each driver with each <see cref="UploadQueue"/>.</summary>
    public static TheoryData<int, string> DriversAndQueues => [.. Drivers.SelectMany(d => Enum.GetNames<UploadQueue>().Select(upload => (d.Data, upload)))];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>For each call of a run: that call and all later calls of the same name fail.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(DriversAndQueues))]
    public void Each_failing_call_is_an_error_and_leaks_nothing(int driver, string queue)
    {
        UploadQueue upload = Enum.Parse<UploadQueue>(queue);
        var count = new FaultyVulkan();
        UseAll(driver, count, upload);
        Assert.Equal(0, count.Living);
        Assert.InRange(count.Calls, 25, 500);
        int refused = 0;
        for (int n = 0; n < count.Calls; n++)
        {
            string failed = "";
            var vulkan = new FaultyVulkan();
            vulkan.Fault = (name, i) =>
            {
                if (i == n) failed = name;
                return name == failed ? Result.ErrorOutOfDeviceMemory : Result.Success;
            };
            Exception? e = Record.Exception(() => UseAll(driver, vulkan, upload));
            Assert.True(vulkan.Living == 0, $"call {n}, {failed}, failed and left {vulkan.Living} objects");
            // Failures of a driver's cache and of the wait before destruction are ignored. The last calls may not happen, since nothing waits
            // for work that is already done.
            if (failed is "vkCreatePipelineCache" or "vkGetPipelineCacheData" or "vkDeviceWaitIdle" or "")
            {
                Assert.Null(e);
                continue;
            }

            Assert.True(e is LdlVkException, $"call {n}, {failed}, failed, and the error was {e}");
            refused++;
        }

        Assert.InRange(refused, 20, count.Calls);
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void A_lost_device_is_an_error_at_each_use_and_closes_quietly(int driver)
    {
        var vulkan = new FaultyVulkan();
        VulkanDevice device = Open(driver, vulkan.Load);
        ITensor tensor = device.CreateTensor(4, 4);
        vulkan.Fault = (name, _) => name is "vkQueueSubmit" or "vkWaitSemaphores" or "vkDeviceWaitIdle" ? Result.ErrorDeviceLost : Result.Success;
        for (int use = 0; use < 3; use++)
            Assert.Contains("lost", Assert.Throws<DeviceException>(() => device.Read(tensor, new float[16])).Message);
        device.Dispose();
        tensor.Dispose();
        Assert.Equal(0, vulkan.Living);
    }

    /// <summary>The recorded commands are lost, so later results would be wrong even if the driver has recovered.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void After_a_failed_submission_every_use_is_an_error(int driver)
    {
        var vulkan = new FaultyVulkan();
        using VulkanDevice device = Open(driver, vulkan.Load);
        using ITensor tensor = device.CreateTensor(4, 4);
        device.Write(tensor, 0, new float[16]);
        vulkan.Fault = (name, _) => name == "vkQueueSubmit" ? Result.ErrorOutOfHostMemory : Result.Success;
        Assert.Throws<DeviceException>(() => device.Read(tensor, new float[16]));
        vulkan.Fault = (_, _) => Result.Success;
        Assert.Contains("earlier error", Assert.Throws<DeviceException>(() => device.Read(tensor, new float[16])).Message);
        Assert.Throws<DeviceException>(() => device.CreateTensor(1, 1));
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void A_full_heap_is_an_error_and_freed_memory_can_be_used_again(int driver)
    {
        var vulkan = new FaultyVulkan();
        using VulkanDevice device = Open(driver, vulkan.Load);
        AssertWorks(device);
        // Room for one whole block, then for less than one.
        vulkan.HeapBytes = vulkan.UsedBytes + (100 << 20);
        const int Rows = 10 << 18, Most = 100;
        List<ITensor> Fill()
        {
            List<ITensor> tensors = [];
            DeviceException e = Assert.Throws<DeviceException>(() =>
            {
                while (tensors.Count < Most) tensors.Add(device.CreateTensor(Rows / 32, 32));
            });
            Assert.Contains("out of device memory", e.Message);
            Assert.Contains("10 MiB more", e.Message);
            Assert.Contains("BatchTokens", e.Message);
            return tensors;
        }

        List<ITensor> first = Fill();
        // The block that is open already holds 6 more.
        Assert.InRange(first.Count, 9, 16);
        Assert.Equal(10L * first.Count << 20, device.AllocatedBytes);
        device.Write(first[^1], 0, new float[32]);
        foreach (ITensor tensor in first) tensor.Dispose();
        Assert.Equal(0, device.AllocatedBytes);
        AssertWorks(device);
        List<ITensor> second = Fill();
        Assert.Equal(first.Count, second.Count);
        foreach (ITensor tensor in second) tensor.Dispose();

        // One large piece fits only after the small blocks were freed to the driver.
        using (device.CreateTensor(90 << 13, 32)) AssertWorks(device);
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void An_upload_that_fails_midway_frees_its_memory(int driver)
    {
        using VulkanDevice device = Open(driver);
        // A little more than 3 chunks.
        var broken = new RowWeight(1600, 8192, failsAt: 1400);
        Assert.Contains("row 1400", Assert.Throws<IOException>(() => device.CreateWeight(broken)).Message);
        Assert.Equal(0, device.AllocatedBytes);
        AssertWorks(device);

        using var cancellation = new CancellationTokenSource();
        var progress = new CancelAtOnce(cancellation);
        Assert.Throws<OperationCanceledException>(() => device.CreateWeight(new RowWeight(1600, 8192), progress, cancellation.Token));
        // No core begins another piece.
        Assert.InRange(progress.Reports, 1, Environment.ProcessorCount);
        Assert.Equal(0, device.AllocatedBytes);
        AssertWorks(device);
    }

    private void UseAll(int driver, FaultyVulkan vulkan, UploadQueue upload)
    {
        using VulkanDevice device = Open(driver, vulkan.Load, Path.Combine(_folder, Guid.NewGuid().ToString("N")), upload: upload);
        using ITensor x = device.CreateTensor(2, 40), y = device.CreateTensor(2, 8);
        device.Write(x, 0, new float[80]);
        using IWeight weight = device.CreateWeight(new RowWeight(8, 40, WeightFormat.Int8));
        using IIndexList rows = device.CreateIndices([1, 0]);
        using ISegmentList segments = device.CreateSegments([new(0, 2, 0, 0, 0, 0)]);
        device.Linear(y, x, weight);
        device.Int8Linear(y, x, weight);
        using (IHostWeight pinned = device.Pin(new RowWeight(8, 40, WeightFormat.Int8))) device.Fill(weight, pinned);
        device.Linear(y, x, weight);
        device.Fill(weight, new RowWeight(8, 40, WeightFormat.Int8));
        device.Linear(y, x, weight);
        using IHostTensor saved = device.Save(y);
        using ITensor restored = device.Restore(saved);
        device.Add(restored, y);
        Read(device, restored);
        Read(device, y);
    }

    private sealed class CancelAtOnce(CancellationTokenSource cancellation) : IProgress<long>
    {
        public int Reports { get; private set; }

        public void Report(long value)
        {
            Reports++;
            cancellation.Cancel();
        }
    }
}
