using LdlVk.Runtime.Devices;
using LdlVk.Testing;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Memory;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Tests;

/// <summary>Weights that are filled repeatedly: what waits for what, memory held, and faults.</summary>
public sealed unsafe class VulkanFillTests : VulkanTest
{
    private const int Columns = 64;

    /// <summary>Copies wait for the last use of their own weight, and only commands that read it wait for them.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Copies_and_ops_wait_only_for_their_own_weight(int driver)
    {
        var vulkan = new FaultyVulkan();
        using VulkanDevice device = Open(driver, vulkan.Load, upload: UploadQueue.Separate);
        using ITensor x = device.CreateTensor(2, Columns), y = device.CreateTensor(2, 8);
        using IWeight a = device.CreateWeight(new RowWeight(8, Columns)), b = device.CreateWeight(new RowWeight(8, Columns));
        using IHostWeight pinned = device.Pin(new RowWeight(8, Columns));
        // From here on, each use is a submission.
        device.Use(b, x, y);
        device.Use(a, x, y);
        FaultyVulkan.Submission usedA = vulkan.Submissions[^1];
        device.Use(b, x, y);
        foreach (IWeightSource source in new IWeightSource[] { pinned, new RowWeight(8, Columns) })
        {
            FaultyVulkan.Submission copied = Assert.Single(vulkan.Submissions.During(() => device.Fill(a, source)));
            Assert.NotEqual(usedA.SignalledSemaphore, copied.SignalledSemaphore);
            // The second fill follows the first on its own queue, so it need not wait again.
            if (source == pinned) Assert.Equal((usedA.SignalledSemaphore, usedA.SignalledValue), (copied.AwaitedSemaphore, copied.AwaitedValue));
            else Assert.Equal(0UL, copied.AwaitedSemaphore);
            Assert.Equal(0UL, Assert.Single(vulkan.Submissions.During(() => device.Use(b, x, y))).AwaitedSemaphore);
            if (source == pinned) continue;
            FaultyVulkan.Submission reads = Assert.Single(vulkan.Submissions.During(() => device.Use(a, x, y)));
            Assert.Equal((copied.SignalledSemaphore, copied.SignalledValue), (reads.AwaitedSemaphore, reads.AwaitedValue));
            Assert.Equal(0UL, Assert.Single(vulkan.Submissions.During(() => device.Use(a, x, y))).AwaitedSemaphore);
        }

        // A recorded use is submitted before its weight is filled.
        device.Linear(y, x, a);
        List<FaultyVulkan.Submission> both = vulkan.Submissions.During(() => device.Fill(a, pinned));
        Assert.Equal(2, both.Count);
        Assert.Equal((both[0].SignalledSemaphore, both[0].SignalledValue), (both[1].AwaitedSemaphore, both[1].AwaitedValue));

        // Commands recorded before a use of a do not wait for a.
        device.Linear(y, x, b);
        Assert.Equal(0UL, vulkan.Submissions.During(() => device.Use(a, x, y)).SkipLast(1).Select(s => s.AwaitedSemaphore).DefaultIfEmpty().Max());
    }

    /// <summary>The host does not wait while it fills from pinned weights, however much work is queued.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void The_host_does_not_wait_for_fills_from_pinned_weights(int driver)
    {
        foreach (UploadQueue upload in Enum.GetValues<UploadQueue>())
        {
            var vulkan = new FaultyVulkan();
            int waits = 0;
            using VulkanDevice device = Open(driver, vulkan.Load, upload: upload);
            var source = new RowWeight(700, 16384);
            using IHostWeight pinned = device.Pin(source);
            using ITensor x = device.CreateTensor(1, 16384), y = device.CreateTensor(1, 700);
            using IWeight weight = device.CreateWeight(source.Format, 700, 16384);
            float[] values = [.. Enumerable.Range(0, 16384).Select(i => (float)i)];
            device.Write(x, 0, values);
            vulkan.Fault = (name, _) =>
            {
                if (name is "vkWaitSemaphores" or "vkDeviceWaitIdle") waits++;
                return Result.Success;
            };
            for (int i = 0; i < 20; i++)
            {
                device.Fill(weight, pinned);
                device.Linear(y, x, weight);
            }

            Assert.Equal(0, waits);
            Assert.Equal([.. Enumerable.Range(0, 700).Select(n => RowWeight.ValueOf(n) * values[source.ColumnOf(n)])], Read(device, y));
        }
    }

    /// <summary>Where the host writes weights itself, filling takes neither chunks nor commands.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Weights_in_shared_memory_are_written_directly(int driver)
    {
        var vulkan = new FaultyVulkan();
        using VulkanDevice device = Open(driver, vulkan.Load);
        Assert.SkipUnless(device.Info.Kind is DeviceKind.Software or DeviceKind.IntegratedGpu, "the device has memory of its own");
        using IWeight weight = device.CreateWeight(WeightFormat.Fp32, 700, Columns);
        (ulong bytes, int submissions) = (vulkan.UsedBytes, vulkan.Submissions.Count);
        for (int i = 0; i < 3; i++) device.Fill(weight, new RowWeight(700, Columns));
        Assert.Equal((bytes, submissions), (vulkan.UsedBytes, vulkan.Submissions.Count));
        AssertHolds(device, weight, new RowWeight(700, Columns));
    }

    /// <summary>
    /// The device is busy, and queued commands use a range of memory: an op reads it as a weight, then a tensor in it is zeroed. The range is
    /// freed, allocated again and filled at once; each owner sees its own values.
    /// </summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Memory_in_use_is_filled_only_after_that_use(int driver)
    {
        const int Size = 1024, Rows = 64;
        foreach (UploadQueue upload in Enum.GetValues<UploadQueue>())
            for (int round = 0; round < 3; round++)
            {
                using VulkanDevice device = Open(driver, upload: upload);
                using ITensor x = device.CreateTensor(Rows, Size), busy = device.CreateTensor(Rows, Size), y = device.CreateTensor(Rows, Size);
                float[] values = [.. Enumerable.Range(0, Rows * Size).Select(i => (float)(i % 13))];
                device.Write(x, 0, values);
                var first = new RowWeight(Size, Size);
                var second = new RowWeight(Size, Size, step: 7907);
                IWeight weight = device.CreateWeight(first);
                ulong address = ((VulkanWeight)weight).Memory.Address;
                for (int i = 0; i < 3; i++) device.Linear(busy, x, weight);
                device.Linear(y, x, weight);
                if (round > 0)
                {
                    weight.Dispose();
                    if (round == 2) device.CreateTensor(Size, Size).Dispose();
                    weight = device.CreateWeight(WeightFormat.Fp32, Size, Size);
                    Assert.Equal(address, ((VulkanWeight)weight).Memory.Address);
                }

                device.Fill(weight, second);
                using ITensor z = device.CreateTensor(Rows, Size);
                device.Linear(z, x, weight);
                foreach ((ITensor output, RowWeight source) in new[] { (y, first), (z, second) })
                    Assert.Equal([.. Enumerable.Range(0, Rows * Size).Select(i => RowWeight.ValueOf(i % Size) * values[(i / Size * Size) + source.ColumnOf(i % Size)])], Read(device, output));
                weight.Dispose();
            }
    }

    /// <summary>If the driver does not let the host map the memory of weights, they arrive through staging chunks.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Without_mapping_weights_arrive_through_staging_chunks(int driver)
    {
        var vulkan = new FaultyVulkan();
        int maps = 0;
        VulkanDevice device = Open(driver, vulkan.Load);
        Assert.SkipUnless(device.Info.Kind is DeviceKind.Software or DeviceKind.IntegratedGpu, "the device has memory of its own");
        // The first mapping is the block's.
        vulkan.Fault = (name, _) => name == "vkMapMemory" && maps++ == 0 ? Result.ErrorMemoryMapFailed : Result.Success;
        IWeight weight = device.CreateWeight(new RowWeight(700, Columns));
        Assert.Equal(2, maps);
        AssertHolds(device, weight, new RowWeight(700, Columns));
        weight.Dispose();
        device.Dispose();
        Assert.Equal(0, vulkan.Living);
    }

    /// <summary>Random tensors and weights within a limit: the driver's count never passes it, and it is used up to the last block.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void The_memory_limit_is_never_passed(int driver)
    {
        foreach (UploadQueue upload in Enum.GetValues<UploadQueue>())
            for (int seed = 0; seed < 3; seed++)
            {
                var random = new Random(seed);
                var vulkan = new FaultyVulkan();
                long limit = random.NextInt64(70 << 20, 200 << 20);
                VulkanDevice device = Open(driver, vulkan.Load, upload: upload, memoryLimit: limit);
                List<IDisposable> held = [];
                int refused = 0;
                for (int step = 0; step < 150; step++)
                {
                    int rows = random.Next(1, random.Next(8) == 0 ? 12000 : 1000);
                    try
                    {
                        if (random.Next(3) == 0 && held.Count > 0) Drop(random.Next(held.Count));
                        else if (random.Next(3) == 0) held.Add(device.CreateWeight(new RowWeight(rows, 1024)));
                        else held.Add(device.CreateTensor(rows, 1024));
                    }
                    catch (DeviceException e)
                    {
                        Assert.Equal(DeviceFailure.OutOfMemory, e.Failure);
                        Assert.Contains("memory limit", e.Message);
                        refused++;
                        Drop(0);
                    }

                    Assert.InRange(vulkan.BlockBytes, (ulong)device.AllocatedBytes, (ulong)limit);
                }

                Assert.InRange(refused, 1, 149);
                Assert.Equal((long)vulkan.PeakBlockBytes, device.PeakBytes);
                Assert.InRange(device.PeakBytes, limit / 2, limit);
                foreach (IDisposable one in held) one.Dispose();
                Assert.Equal(0, device.AllocatedBytes);
                AssertWorks(device);
                device.Dispose();
                Assert.Equal(0, vulkan.Living);

                void Drop(int i)
                {
                    if (held.Count == 0) return;
                    held[i].Dispose();
                    held.RemoveAt(i);
                }
            }
    }

    /// <summary>All memory below the limit can be allocated, up to the last page, and after freeing it in one piece.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void All_memory_below_the_limit_can_be_used(int driver)
    {
        const long Limit = (100 << 20) + 12345, MiB = 1 << 20;
        using VulkanDevice device = Open(driver, memoryLimit: Limit);
        List<ITensor> tensors = [];
        DeviceException e = Assert.Throws<DeviceException>(() =>
        {
            while (tensors.Count < 1000) tensors.Add(device.CreateTensor(256, 1024));
        });
        Assert.Equal(100, tensors.Count);
        Assert.InRange(device.PeakBytes, 100 * MiB, Limit);
        foreach (string part in new[] { "memory limit of 100.0 MiB", "a tensor [256, 1024]", "1 MiB more", "100.0 MiB are taken", "Memory" }) Assert.Contains(part, e.Message);
        foreach (ITensor tensor in tensors) tensor.Dispose();
        // Now nothing is recorded that a wait could end with.
        AssertWorks(device);
        device.Resources.Finish();
        using (device.CreateTensor(99 * 256, 1024)) Assert.InRange(device.PeakBytes, 100 * MiB, Limit);
        Assert.Contains("[8, 16384]", Assert.Throws<DeviceException>(() => Open(driver, memoryLimit: 1000).CreateWeight(new RowWeight(8, 16384))).Message);
    }

    /// <summary>
    /// The driver's memory count equals ours: by VK_EXT_memory_budget, or, where that figure is of the whole machine, by the memory of the
    /// process.
    /// </summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void The_driver_counts_the_same_memory(int driver)
    {
        using VulkanInstance instance = VulkanInstance.TryCreate(Vk.GetApi, out _)!;
        PhysicalDevice physical = instance.PhysicalDevices(out _)[driver];
        PhysicalDeviceFacts facts = PhysicalDeviceFacts.Of(instance, physical);
        bool software = facts.Kind == DeviceKind.Software;
        Assert.SkipUnless(software ? OperatingSystem.IsLinux() : facts.HasMemoryBudget, "the driver has no VK_EXT_memory_budget");
        const long Limit = 1L << 30;
        using VulkanDevice device = Open(driver, memoryLimit: Limit);
        AssertWorks(device);
        long before = Usage();
        Assert.Throws<DeviceException>(() =>
        {
            for (int i = 0; i < 1000; i++) device.CreateTensor(64 * 256, 1024);
        });
        device.Resources.Finish();
        long rose = Usage() - before;
        Assert.Equal(Limit, device.PeakBytes);
        TestContext.Current.TestOutputHelper?.WriteLine($"{Limit} bytes held, usage rose by {rose}");
        Assert.InRange(rose, Limit * 0.85, Limit * 1.15);

        long Usage()
        {
            // The device zeroes tensors, so their pages are allocated.
            if (software) return Environment.WorkingSet;
            var free = new PhysicalDeviceMemoryBudgetPropertiesEXT(sType: StructureType.PhysicalDeviceMemoryBudgetPropertiesExt);
            var memory = new PhysicalDeviceMemoryProperties2(pNext: &free);
            instance.Api.GetPhysicalDeviceMemoryProperties2(physical, &memory);
            int type = Enumerable.Range(0, (int)facts.Memory.MemoryTypeCount).First(i => facts.Memory.MemoryTypes[i].PropertyFlags.HasFlag(MemoryPropertyFlags.DeviceLocalBit));
            return (long)free.HeapUsage[(int)facts.Memory.MemoryTypes[type].HeapIndex];
        }
    }

    /// <summary>
    /// A fill is cancelled while its copies run, and its weight's memory is allocated again at once: the new owners see their own values.
    /// </summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Memory_of_a_cancelled_fill_can_be_used_again(int driver)
    {
        foreach (UploadQueue upload in Enum.GetValues<UploadQueue>())
        {
            using VulkanDevice device = Open(driver, upload: upload);
            float[] ones = [.. Enumerable.Repeat(1f, 1600 * 8192)];
            for (int round = 0; round < 3; round++)
            {
                IWeight weight = device.CreateWeight(WeightFormat.Fp32, 1600, 8192);
                Assert.Throws<IOException>(() => device.Fill(weight, new RowWeight(1600, 8192, failsAt: 1400)));
                long bytes = device.AllocatedBytes;
                weight.Dispose();
                using ITensor tensor = device.CreateTensor(1600, 8192);
                Assert.Equal(bytes, device.AllocatedBytes);
                if (round == 2) device.Write(tensor, 0, ones);
                Assert.Equal(-1, Read(device, tensor).AsSpan().IndexOfAnyExcept(round == 2 ? 1f : 0f));
            }
        }
    }

    /// <summary>A device is lost while weights are copied: each use is an error, closing is quiet, and pinned weights keep their values.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Pinned_weights_survive_a_lost_device(int driver)
    {
        foreach (UploadQueue upload in Enum.GetValues<UploadQueue>())
        {
            var vulkan = new FaultyVulkan();
            var source = new RowWeight(8, Columns);
            VulkanDevice device = Open(driver, vulkan.Load, upload: upload);
            IHostWeight pinned = device.Pin(source), given = device.Pin(source);
            IWeight weight = device.CreateWeight(source);
            device.Fill(weight, given);
            ITensor x = device.CreateTensor(1, Columns), y = device.CreateTensor(1, 8);
            // Nothing runs any more that the test would have to wait for.
            device.Linear(y, x, weight);
            Read(device, y);
            vulkan.Fault = (name, _) => name is "vkQueueSubmit" or "vkWaitSemaphores" or "vkDeviceWaitIdle" or "vkGetSemaphoreCounterValue" ? Result.ErrorDeviceLost : Result.Success;
            for (int use = 0; use < 3; use++)
            {
                DeviceException e = Assert.Throws<DeviceException>(() =>
                {
                    device.Fill(weight, pinned);
                    device.Linear(y, x, weight);
                    device.Read(y, new float[8]);
                });
                Assert.Equal(DeviceFailure.Lost, e.Failure);
            }

            given.Dispose();
            using (pinned)
            {
                device.Dispose();
                // The instance, the device, a buffer and its memory.
                Assert.Equal(4, vulkan.Living);
                using VulkanDevice other = Open(driver);
                using ITensor input = other.CreateTensor(1, Columns), output = other.CreateTensor(1, 8);
                float[] values = [.. Enumerable.Range(0, Columns).Select(i => (float)i)];
                other.Write(input, 0, values);
                using IWeight filled = other.CreateWeight(pinned);
                other.Linear(output, input, filled);
                Assert.Equal([.. Enumerable.Range(0, 8).Select(n => RowWeight.ValueOf(n) * values[source.ColumnOf(n)])], Read(other, output));
            }

            foreach (IDisposable one in new IDisposable[] { weight, x, y }) one.Dispose();
            Assert.Equal(0, vulkan.Living);
        }
    }

    private static void AssertHolds(VulkanDevice device, IWeight weight, RowWeight source)
    {
        using ITensor x = device.CreateTensor(1, source.InputFeatures), y = device.CreateTensor(1, source.OutputFeatures);
        float[] values = [.. Enumerable.Range(1, source.InputFeatures).Select(i => (float)i)];
        device.Write(x, 0, values);
        device.Linear(y, x, weight);
        Assert.Equal([.. Enumerable.Range(0, source.OutputFeatures).Select(n => RowWeight.ValueOf(n) * values[source.ColumnOf(n)])], Read(device, y));
    }
}
