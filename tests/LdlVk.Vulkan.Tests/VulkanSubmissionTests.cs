using CsCheck;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Model.Heads;
using LdlVk.Testing;
using LdlVk.Vulkan.Device;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Tests;

/// <summary>How work reaches the device: without waiting, in short submissions, on one queue or two.</summary>
public sealed class VulkanSubmissionTests : VulkanTest
{
    /// <summary>
    /// Batches of any size, each submitted while the previous one may be running: the host waits only for results, and after the largest batch
    /// no more memory is taken from the driver.
    /// </summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void A_forward_pass_waits_for_nothing(int driver)
    {
        var vulkan = new FaultyVulkan();
        int waits = 0;
        using VulkanDevice device = Open(driver, vulkan.Load);
        using Checkpoint checkpoint = Checkpoint.Open(Goldens.Read("b_bf16_sharded").Folder);
        var weights = new CheckpointWeights(checkpoint, new LoadSettings(WeightFormat.Fp16));
        using Stage stage = new StageLoader(device, weights, new StageLayers(0, checkpoint.Config.Layers), null, null, TestContext.Current.CancellationToken).Load();
        vulkan.Fault = (name, _) =>
        {
            if (name is "vkWaitSemaphores" or "vkDeviceWaitIdle") waits++;
            return Result.Success;
        };
        var random = new Random(5);
        PendingReadout? before = null;
        for (int n = 0; n < 8; n++)
        {
            int[][] texts = [.. Enumerable.Range(0, n == 0 ? 20 : random.Next(1, 20)).Select(t => Ids(n == 0 ? 60 : random.Next(1, 60), t))];
            MicroBatch batch = Packer.Pack(texts, 4096).Single();
            PendingReadout pending = new ForwardPass(stage.Weights, [batch], new ForwardOptions(ComputeMode.Auto), new NoLink(), cache: null).Run().Single().Readout!;
            Assert.Equal(0, waits);
            using (before) before?.Finish();
            (before, waits) = (pending, 0);
        }

        using (before) Assert.All(before!.Finish().SelectMany(output => output.Values), value => Assert.True(float.IsFinite(value)));
        Assert.Equal(1, device.Resources.Memory.BlocksMade);
    }

    /// <summary>Activations of the 27B model's shapes for batches of any size: after a while no new blocks are needed.</summary>
    [Fact]
    public void A_steady_stream_of_batches_takes_no_more_memory()
    {
        Assert.SkipWhen(Drivers.Count == 0, "no Vulkan device");
        var vulkan = new FaultyVulkan();
        int waits = 0;
        using VulkanDevice device = Open(0, vulkan.Load);
        vulkan.Fault = (name, _) =>
        {
            if (name is "vkWaitSemaphores" or "vkDeviceWaitIdle") waits++;
            return Result.Success;
        };
        var random = new Random(6);
        int first = 0;
        for (int n = 0; n < 60; n++)
        {
            int rows = n % 10 == 0 ? 1024 : random.Next(1, 1024);
            ITensor residual = device.CreateTensor(rows, 4608);
            ITensor[] workspace = [.. new[] { 4608, 4096, 2048, 2048, 4096, 36864, 36864 }.Select(columns => device.CreateTensor(rows, columns))];
            foreach (ITensor tensor in workspace) tensor.Dispose();
            ITensor[] last = [.. new[] { (rows, 2048), (rows, 2048), (rows, 4608), (8, 36864), (8, 36864), (8, 4608) }.Select(t => device.CreateTensor(t.Item1, t.Item2))];
            foreach (ITensor tensor in last) tensor.Dispose();
            residual.Dispose();
            if (n == 19) first = device.Resources.Memory.BlocksMade;
        }

        Assert.Equal(0, waits);
        Assert.Equal(first, device.Resources.Memory.BlocksMade);
        TestContext.Current.TestOutputHelper?.WriteLine($"{first} blocks, {vulkan.UsedBytes >> 20} MiB");
    }

    /// <summary>
    /// On cards from 0.03 TFLOP/s up no submission runs for 2 s, including the first, even if ops differ from the average by a factor of 5. On a
    /// fast card a submission runs a hundred times as long as the 20 µs that it costs.
    /// </summary>
    [Fact]
    public void Submissions_follow_the_devices_speed() =>
        Gen.Select(Gen.Double[10.5, 15], Gen.Double[0.2, 1].Array[30]).Sample((exponent, ops) =>
        {
            double speed = Math.Pow(10, exponent);
            var budget = new SubmissionBudget(watched: true);
            foreach (double share in ops)
            {
                double seconds = budget.Operations / (speed * share);
                Assert.InRange(seconds, 0, 2);
                budget.Completed(budget.Operations, TimeSpan.FromSeconds(seconds));
            }

            Assert.InRange(budget.Operations / speed, 2e-3, 0.11);
        });

    /// <summary>A submission that waited in the queue for long does not lower the measured speed.</summary>
    [Fact]
    public void Waiting_in_the_queue_does_not_look_like_slowness()
    {
        var budget = new SubmissionBudget(watched: true);
        budget.Completed(1e12, TimeSpan.FromSeconds(0.1));
        double fast = budget.Operations;
        Assert.Equal(1e12, fast);
        budget.Completed(1e10, TimeSpan.FromSeconds(100));
        budget.Completed(0, TimeSpan.FromSeconds(1));
        budget.Completed(1e10, TimeSpan.Zero);
        Assert.Equal(fast, budget.Operations);
    }

    /// <summary>Uploads on a separate stream give the same bits, and every compute submission waits for the copies it needs.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Uploads_on_a_second_stream_arrive_in_time(int driver)
    {
        int[][] texts = [.. Enumerable.Range(0, 30).Select(i => Ids(1 + (i * 3), i))];
        float[] want = Scores(Open(driver)), got;
        var vulkan = new FaultyVulkan();
        got = Scores(VulkanBackend.Open(vulkan.Load, driver, null, null, UploadQueue.Separate));
        Assert.Equal(want, got);

        // No submission waits for a copy that is not submitted, and something waits for every copy.
        Dictionary<ulong, ulong> signalled = [], awaited = [];
        ulong copies = vulkan.Submissions.Select(s => s.AwaitedSemaphore).First(s => s != 0);
        foreach (FaultyVulkan.Submission s in vulkan.Submissions)
        {
            if (s.AwaitedSemaphore != 0)
            {
                Assert.NotEqual(s.SignalledSemaphore, s.AwaitedSemaphore);
                Assert.True(s.AwaitedValue <= signalled[s.AwaitedSemaphore]);
                awaited[s.AwaitedSemaphore] = s.AwaitedValue;
            }

            signalled[s.SignalledSemaphore] = s.SignalledValue;
        }

        Assert.Equal(2, signalled.Count);
        Assert.InRange(awaited[copies], 10UL, ulong.MaxValue);
        Assert.Equal(signalled[copies], awaited[copies]);
        Assert.Equal(0, vulkan.Living);

        float[] Scores(VulkanDevice opened)
        {
            using VulkanDevice device = opened;
            using Checkpoint checkpoint = Checkpoint.Open(Goldens.Read("b_bf16_sharded").Folder);
            using ScoringEngine engine = ScoringEngine.Load(device, checkpoint, new LoadSettings(WeightFormat.Int8));
            return [.. Packer.Pack(texts, 100).SelectMany(batch => engine.Score(batch)).Select(r => r.Score)];
        }
    }

    /// <summary>The stress test of order and size, with uploads on a separate stream.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Many_uploads_on_a_second_stream_keep_their_order(int driver)
    {
        using VulkanDevice device = VulkanBackend.Open(Vk.GetApi, driver, null, null, UploadQueue.Separate);
        VulkanStreamTests.WriteAndGatherAtRandom(device);
    }

    private static int[] Ids(int length, int seed) => [.. Enumerable.Range(0, length).Select(i => 2 + (((i * 7) + (seed * 31)) % 200))];

    /// <summary>A single stage, with room for any number of results.</summary>
    private sealed class NoLink : IStageLink
    {
        public void WaitForInput()
        {
        }

        public void Receive(ITensor hidden) => throw new InvalidOperationException("The first stage embeds.");

        public void FirstLayerIsQueued()
        {
        }

        public void WaitForRoom()
        {
        }
    }
}
