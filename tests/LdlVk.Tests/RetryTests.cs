using LdlVk.Cpu;
using LdlVk.Runtime.Devices;
using LdlVk.Testing;
using LdlVk.Vulkan;
using LdlVk.Vulkan.Device;
using Silk.NET.Vulkan;
using Xunit;

namespace LdlVk.Tests;

/// <summary>
/// A device that is lost or out of memory in the middle of a run: each text gets its score once, in order, with the bits it has without
/// the failure; or the error says what failed, at what sizes.
/// </summary>
[Trait("Duration", "Long")]
public sealed class RetryTests
{
    /// <summary>
    /// The index of each Vulkan device of this machine, but of several software drivers only the fastest: what follows a failure is host
    /// code, and the slowest took a minute.
    /// </summary>
    public static TheoryData<int> Drivers =>
        [.. Enumerable.Range(0, VulkanBackend.Enumerate().Count).Where(driver => TestDevices.ForModels.Contains($"vulkan:{driver}"))];

    private static readonly string Folder = Goldens.Read("b_bf16_sharded").Folder;

    /// <summary>Texts with prompts that are shared, texts within others, and one that is longer than a batch.</summary>
    private static readonly TokenizedText[] Texts =
    [
        .. Enumerable.Range(0, 12).Select(i => new TokenizedText([.. Enumerable.Range(2, 9), .. Enumerable.Range(20 + i, 1 + (i % 4))])),
        new([2, 3]), new([2, 3, 4, 5]), new([.. Enumerable.Range(2, 60)]), TokenizedText.Failed("bad"), new([2, 3]),
    ];

    private static RewardModelOptions Options(string device, int batchTokens = 24) =>
        new() { Device = device, BatchTokens = batchTokens, Weights = WeightFormat.Fp16 };

    [Fact]
    public async Task A_device_lost_at_any_call_is_opened_again()
    {
        float?[] want = await Alone("cpu");
        int call = 0;
        for (; ; call += 37)
        {
            using var run = new CpuRun();
            run.Devices[0].Arm(call, DeviceFailure.Lost);
            float?[] got = await run.Score();
            if (!run.Devices[0].HasFailed) break;
            Assert.Equal(want, got);
            Assert.Equal(2, run.Devices.Count);
            Assert.True(run.Devices[0].IsDisposed);
            Assert.Contains("cpu", Assert.Single(run.Warnings));
            Assert.Contains("weights are loaded again", run.Warnings[0]);
        }

        Assert.InRange(call, 200, 10_000);
    }

    [Fact]
    public async Task Want_of_memory_at_any_call_splits_the_batch()
    {
        float?[] want = await Alone("cpu");
        int call = 0, split = 0;
        for (; ; call += 37)
        {
            using var run = new CpuRun();
            run.Devices[0].Arm(call);
            float?[] got = await run.Score();
            if (!run.Devices[0].HasFailed) break;
            Assert.Equal(want, got);
            Assert.Contains("smaller pieces", Assert.Single(run.Warnings));
            Assert.Single(run.Devices);
            split++;
        }

        Assert.InRange(split, 5, 10_000);
    }

    /// <summary>Pieces are split again until they fit; at last a text that fits in no piece is an error that says so.</summary>
    [Theory]
    [InlineData(60)]
    [InlineData(61)]
    [InlineData(70)]
    public async Task Pieces_are_split_until_they_fit(int rows)
    {
        using var run = new CpuRun(batchTokens: 4096);
        run.Devices[0].MostRows = rows;
        Assert.Equal(await Alone("cpu"), await run.Score());
        Assert.Contains("smaller pieces", Assert.Single(run.Warnings));
        run.Devices[0].MostRows = 59;
        DeviceException e = await Assert.ThrowsAsync<DeviceException>(run.Score);
        Assert.Equal(DeviceFailure.OutOfMemory, e.Failure);
        Assert.Contains("cpu (", e.Message);
        Assert.Contains("[60, ", e.Message);
        Assert.Contains("BatchTokens", e.Message);
        run.Devices[0].MostRows = int.MaxValue;
        Assert.Equal(await Alone("cpu"), await run.Score());
    }

    [Fact]
    public async Task A_device_lost_again_is_an_error_and_the_model_can_still_be_used()
    {
        using var run = new CpuRun();
        run.Devices[0].Arm(100, DeviceFailure.Lost);
        run.Opened = device => device.IsLostAtReads = true;
        DeviceException e = await Assert.ThrowsAsync<DeviceException>(run.Score);
        Assert.Equal(DeviceFailure.Lost, e.Failure);
        Assert.Contains("cpu (", e.Message);
        Assert.Contains(" tokens (", e.Message);

        // It does not come back: the error says that too.
        run.Opened = _ => throw new DeviceException("no such device (on purpose)");
        e = await Assert.ThrowsAsync<DeviceException>(run.Score);
        Assert.Contains("cannot be put there again: no such device", e.Message);
        run.Opened = _ => { };
        Assert.Equal(await Alone("cpu"), await run.Score());
        Assert.All(run.Devices.SkipLast(1), device => Assert.True(device.IsDisposed));
    }

    [Fact]
    public async Task Other_failures_are_not_retried()
    {
        using var run = new CpuRun();
        run.Devices[0].Arm(100, DeviceFailure.Other);
        DeviceException e = await Assert.ThrowsAsync<DeviceException>(run.Score);
        Assert.Contains("Other (on purpose)", e.Message);
        Assert.DoesNotContain("once more", e.Message);
        Assert.Empty(run.Warnings);
        Assert.Equal(await Alone("cpu"), await run.Score());
    }

    [Fact]
    public async Task Cancellation_ends_loading_again_and_the_next_run_loads_again()
    {
        using var run = new CpuRun();
        using var cancellation = new CancellationTokenSource();
        run.Devices[0].Arm(100, DeviceFailure.Lost);
        run.Opened = _ => cancellation.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.Score(cancellation.Token));
        run.Opened = _ => { };
        Assert.Equal(await Alone("cpu"), await run.Score());
    }

    /// <summary>Two callers on one device that is lost: it is opened again once, and both get their scores.</summary>
    [Fact]
    public async Task Callers_share_the_device_opened_again()
    {
        float?[] want = await Alone("cpu");
        using var run = new CpuRun();
        run.Devices[0].Arm(300, DeviceFailure.Lost);
        float?[][] got = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => run.Score())));
        Assert.All(got, scores => Assert.Equal(want, scores));
        Assert.Equal(2, run.Devices.Count);
    }

    /// <summary>Callers of one text each do not wait for each other: while the device computes one's, it has another's.</summary>
    [Fact]
    public async Task Callers_of_single_texts_keep_the_device_busy()
    {
        using var run = new CpuRun();
        float[][] scores = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
            Enumerable.Range(0, 25).Select(i => run.Model.Score([.. Enumerable.Range(2 + i, 30)]).Score).ToArray())));
        Assert.All(scores, s => Assert.Equal(scores[0], s));
        Assert.Equal(2, run.Devices[0].MostUnread);
    }

    /// <summary>A batch is handed over before the results of the one before are waited for, also across windows, and never two before.</summary>
    [Fact]
    public async Task The_device_has_the_next_batch_while_results_are_awaited()
    {
        using var run = new CpuRun(batchTokens: 8);
        await run.Score();
        Assert.Equal(2, run.Devices[0].MostUnread);
        await foreach (ScoreResult _ in run.Model.ScoreManyAsync(Enumerable.Repeat(new TokenizedText([2, 3, 4, 5, 6, 7, 8]), 100)))
        {
        }

        Assert.Equal(0, run.Devices[0].Unread);
        Assert.Equal(2, run.Devices[0].MostUnread);
    }

    /// <summary>A source that fails does not take along the results of what it gave before.</summary>
    [Fact]
    public async Task A_source_that_fails_ends_the_run_after_the_results_before_it()
    {
        using var run = new CpuRun(batchTokens: 4);
        List<ScoreResult> results = [];
        await Assert.ThrowsAsync<IOException>(async () =>
        {
            await foreach (ScoreResult result in run.Model.ScoreManyAsync(Broken())) results.Add(result);
        });
        Assert.Equal(4, results.Count);
        Assert.All(results, r => Assert.NotNull(r.Reward));

        static IEnumerable<TokenizedText> Broken()
        {
            // A window is 16 batches of 4 tokens.
            for (int i = 0; i < 4; i++) yield return new TokenizedText([.. Enumerable.Range(2 + i, 16)]);
            throw new IOException("on purpose");
        }
    }

    /// <summary>Stopping in the middle gives up what is under way.</summary>
    [Fact]
    public async Task Stopping_in_the_middle_leaves_nothing_behind()
    {
        using var run = new CpuRun(batchTokens: 4);
        long before = run.Devices[0].AllocatedBytes;
        await foreach (ScoreResult _ in run.Model.ScoreManyAsync(Enumerable.Repeat(new TokenizedText([2, 3, 4]), 1000))) break;
        Assert.Equal(before, run.Devices[0].AllocatedBytes);
        Assert.Equal(await Alone("cpu"), await run.Score());
    }

    /// <summary>Each Vulkan call of a run in turn says that the device is lost, and goes on saying so until it is opened again.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public async Task A_Vulkan_device_lost_at_any_call_is_opened_again(int driver)
    {
        float?[] want = await Alone($"vulkan:{driver}");
        HashSet<string> failed = [];
        for (int n = 0; ; n += 1 + (n / 2))
        {
            var vulkan = new FaultyVulkan();
            List<string> warnings = [];
            using RewardModel model = LoadVulkan(driver, vulkan);
            model.Warning += w => warnings.Add(w.ToString());
            int loaded = vulkan.Calls;
            bool lost = false, reopened = false;
            vulkan.Fault = (name, i) =>
            {
                reopened |= lost && name == "vkCreateInstance";
                lost |= i - loaded >= n && name is ("vkQueueSubmit" or "vkWaitSemaphores" or "vkGetSemaphoreCounterValue");
                if (lost && !reopened) failed.Add(name);
                // The device only seems lost, so what it still does must end before it is closed.
                return lost && !reopened && name != "vkDeviceWaitIdle" ? Result.ErrorDeviceLost : Result.Success;
            };
            Assert.Equal(want, await Score(model));
            if (!lost) break;
            Assert.True(reopened);
            Assert.Contains("was lost", Assert.Single(warnings));
        }

        Assert.Contains("vkQueueSubmit", failed);
    }

    /// <summary>After loading there is room for batches of some 100 rows, and none for more.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public async Task A_full_Vulkan_heap_splits_the_batch(int driver)
    {
        TokenizedText[] texts = [.. Enumerable.Range(0, 60).Select(i => new TokenizedText([2 + i, .. Enumerable.Range(2, 29)]))];
        using RewardModel whole = RewardModel.Load(Folder, Options($"vulkan:{driver}", 4096));
        List<float> want = [], got = [];
        await foreach (ScoreResult result in whole.ScoreManyAsync(texts)) want.Add(result.Value.Score);

        var vulkan = new FaultyVulkan();
        List<string> warnings = [];
        VulkanDevice? device = null;
        using RewardModel model = RewardModel.Load(Folder, _ => device = VulkanBackend.Open(vulkan.Load, driver, linear: null, cacheFolder: null), Options($"vulkan:{driver}", 4096));
        model.Warning += w => warnings.Add(w.ToString());
        // With this the memory for reading results is there.
        DeviceProbe.AssertWorks(device!);
        vulkan.HeapBytes = vulkan.UsedBytes;
        Stack<ITensor> rest = [];
        Assert.Throws<DeviceException>(() =>
        {
            while (rest.Count < 1000) rest.Push(device!.CreateTensor(1 << 12, 32));
        });
        rest.Pop().Dispose();
        await foreach (ScoreResult result in model.ScoreManyAsync(texts)) got.Add(result.Value.Score);
        Assert.Equal(want, got);
        Assert.Contains("a tensor [", Assert.Single(warnings));
        Assert.Contains("MiB more on", warnings[0]);
        while (rest.TryPop(out ITensor? tensor)) tensor.Dispose();
    }

    private static RewardModel LoadVulkan(int driver, FaultyVulkan vulkan, int batchTokens = 24) =>
        RewardModel.Load(Folder, _ => VulkanBackend.Open(vulkan.Load, driver, linear: null, cacheFolder: null), Options($"vulkan:{driver}", batchTokens));

    /// <summary>The scores of a device that does not fail, each text by itself.</summary>
    private static async Task<float?[]> Alone(string device)
    {
        using RewardModel model = RewardModel.Load(Folder, Options(device, 1));
        return await Score(model);
    }

    private static async Task<float?[]> Score(RewardModel model, CancellationToken cancellation = default)
    {
        List<float?> scores = [];
        var progress = new Last();
        await foreach (ScoreResult result in model.ScoreManyAsync(Texts, progress, cancellation))
        {
            Assert.Equal(scores.Count, result.Index);
            scores.Add(result.Reward?.Score);
        }

        Assert.Equal(Texts.Length - 1, progress.Value.Texts);
        Assert.Equal(Texts.Sum(t => t.Ids.Length), progress.Value.Tokens);
        return [.. scores];
    }

    private sealed class Last : IProgress<ScoreProgress>
    {
        public ScoreProgress Value { get; private set; }

        public void Report(ScoreProgress value) => Value = value;
    }

    /// <summary>A model on the processor whose devices, one after another, can be made to fail.</summary>
    private sealed class CpuRun : IDisposable
    {
        public CpuRun(int batchTokens = 24)
        {
            Model = RewardModel.Load(Folder, _ => Next(), Options("cpu", batchTokens));
            Model.Warning += w => Warnings.Add(w.ToString());
        }

        public RewardModel Model { get; }
        public List<FailingDevice> Devices { get; } = [];
        public List<string> Warnings { get; } = [];

        /// <summary>Told of each device that is opened.</summary>
        public Action<FailingDevice> Opened { get; set; } = _ => { };

        public Task<float?[]> Score() => RetryTests.Score(Model);

        public Task<float?[]> Score(CancellationToken cancellation) => RetryTests.Score(Model, cancellation);

        public void Dispose() => Model.Dispose();

        private FailingDevice Next()
        {
            var device = new FailingDevice(CpuBackend.Open(CpuBackend.DeviceId));
            Opened(device);
            Devices.Add(device);
            return device;
        }
    }
}
