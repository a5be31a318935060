using LdlVk.Testing;
using Xunit;
using static LdlVk.Tests.CachedPrompts;

namespace LdlVk.Tests;

/// <summary>
/// The prompt cache with too little device memory and host memory behind it, behind the public API: lost devices, want of memory, callers side
/// by side and callers who leave.
/// </summary>
public sealed class PromptCacheHostTests
{
    private static readonly TokenizedText[] Texts = CachedPrompts.Texts[..(4 * Prompts)];

    private static readonly Lazy<float[]> Alone = new(() => CachedPrompts.Alone(TestDevices.VulkanForModels()));

    [Theory]
    [InlineData(DeviceFailure.Lost)]
    [InlineData(DeviceFailure.OutOfMemory)]
    public void A_failure_with_prompts_in_host_memory_changes_no_score(DeviceFailure failure)
    {
        string card = TestDevices.VulkanForModels();
        int call = 0, failures = 0;
        for (; ; call += 331)
        {
            List<FailingDevice> devices = [];
            using (RewardModel model = RewardModel.Load(Folder, _ => Opened(card, devices), Options(card)))
            {
                CheckScores(model, 0, 2 * Prompts);
                Assert.True(model.PromptCache.HostStored > 0, $"{model.PromptCache}");
                devices[0].Arm(call, failure);
                CheckScores(model, 2 * Prompts, Texts.Length);
                if (devices[0].HasFailed)
                {
                    failures++;
                    CheckScores(model, 0, Texts.Length);
                }
                else
                {
                    Assert.InRange(model.PromptCache.HostTaken, 100, long.MaxValue);
                    call = int.MinValue;
                }
            }

            Assert.All(devices, device => Assert.Equal(0, device.PinnedBytes));
            if (call < 0) break;
        }

        Assert.InRange(failures, 4, 1000);
    }

    /// <summary>Each call that moves a block fails once for want of memory: on the way to host memory, or back.</summary>
    [Fact]
    public void A_block_that_cannot_move_is_computed_again()
    {
        string card = TestDevices.VulkanForModels();
        for (int save = 0; save < 2; save++)
        {
            List<FailingDevice> devices = [];
            using RewardModel model = RewardModel.Load(Folder, _ => Opened(card, devices), Options(card));
            CheckScores(model, 0, Prompts);
            if (save == 1) devices[0].MostSavedRows = 0;
            else devices[0].RestoresFail = true;
            CheckScores(model, Prompts, Texts.Length);
            PromptCacheUse use = model.PromptCache;
            if (save == 1) Assert.Equal((0L, 0L, 0L), (use.HostCapacity, use.HostStored, use.HostTaken));
            else Assert.InRange(use.Misses, 1, Texts.Length);
            Assert.InRange(use.Stored, 0, use.Capacity);
            devices[0].MostSavedRows = int.MaxValue;
            devices[0].RestoresFail = false;
            CheckScores(model, 0, Texts.Length);
        }
    }

    [Fact]
    public async Task Callers_side_by_side_get_their_own_bits()
    {
        string card = TestDevices.VulkanForModels();
        float[] want = Alone.Value;
        List<FailingDevice> devices = [];
        using (RewardModel model = RewardModel.Load(Folder, _ => Opened(card, devices), Options(card)))
        {
            int scored = 0;
            await Task.WhenAll(Enumerable.Range(0, 4).Select(caller => Task.Run(() =>
            {
                var random = new Random(caller);
                for (int round = 0; round < 30; round++)
                {
                    int[] numbers = [.. Enumerable.Range(0, random.Next(1, 6)).Select(_ => random.Next(Texts.Length))];
                    using var leaving = new CancellationTokenSource();
                    if (random.Next(4) == 0) leaving.CancelAfter(random.Next(5));
                    try
                    {
                        ScoreResult[] results = model.ScoreTogether([.. numbers.Select(i => Texts[i])], leaving.Token);
                        Assert.Equal(numbers.Select(i => want[i]), results.Select(r => r.Value.Score));
                        Interlocked.Add(ref scored, results.Length);
                    }
                    catch (OperationCanceledException)
                    {
                    }
                }
            })));
            Assert.True(scored > 100 && model.PromptCache.HostTaken > 100 && model.PromptCache.HostBytes > 0, $"{scored} scored, {model.PromptCache}");
        }

        Assert.All(devices, device => Assert.Equal((0L, 0L), (device.AllocatedBytes, device.PinnedBytes)));
    }

    [Fact]
    public void Options_that_make_no_sense_are_refused()
    {
        RewardModelOptions cpu = new() { Device = "cpu", Weights = WeightFormat.Fp16 };
        Assert.Contains("PromptCacheHost cannot be below 0", Refused(cpu with { PromptCacheHost = -1 }));
        Assert.Contains("PromptCache = 0 keeps nothing", Refused(cpu with { PromptCache = 0, PromptCacheHost = 1 << 20 }));

        static string Refused(RewardModelOptions options) => Assert.Throws<UsageException>(() => RewardModel.Load(Folder, options)).Message;
    }

    private static void CheckScores(RewardModel model, int from, int to)
    {
        for (int i = from; i < to; i++) Assert.Equal(Alone.Value[i], model.ScoreTogether([Texts[i]])[0].Value.Score);
    }

    /// <summary>Room on the device, and as much in host memory.</summary>
    private static RewardModelOptions Options(string card)
    {
        RewardModelOptions options = new() { Device = card, BatchTokens = 64, Weights = WeightFormat.Fp16 };
        ExecutionPlan plan = RewardModel.MakePlan(Folder, options);
        long bytes = Room * (plan.Stages[0].CacheBytes / plan.CacheTokens);
        return options with { PromptCache = bytes, PromptCacheHost = bytes };
    }

    private static FailingDevice Opened(string card, List<FailingDevice> devices)
    {
        devices.Add(new FailingDevice(TestDevices.Get(card).Open()));
        return devices[^1];
    }
}
