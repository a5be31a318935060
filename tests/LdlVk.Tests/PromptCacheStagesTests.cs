using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Caching;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Scoring;
using LdlVk.Testing;
using Xunit;
using static LdlVk.Tests.CachedPrompts;

namespace LdlVk.Tests;

/// <summary>
/// A device fails in a model that is divided over two, or streamed, while prompts are kept in device memory and in host memory behind it.
/// Each score has the bits that the text has alone, and each stage holds what the cache says it holds, and nothing more.
/// </summary>
[Trait("Duration", "Long")]
public sealed class PromptCacheStagesTests
{
    private static readonly Dictionary<string, StageLayers[]> Layouts = new()
    {
        ["two devices"] = [new StageLayers(0, 2), new StageLayers(2, 3)],
        ["streamed from the files"] = [new StageLayers(0, 5, Streamed: 5, Slots: 1)],
        ["streamed from host memory"] = [new StageLayers(0, 5, Streamed: 4, Slots: 2, InHostMemory: true)],
        ["two devices, of which one streams"] = [new StageLayers(0, 2), new StageLayers(2, 3, Streamed: 3, Slots: 1)],
    };

    private static readonly Lazy<float[]> Alone = new(() => CachedPrompts.Alone("cpu"));

    public static TheoryData<string, int, DeviceFailure> Failures
    {
        get
        {
            TheoryData<string, int, DeviceFailure> data = [];
            foreach ((string layout, StageLayers[] stages) in Layouts)
                for (int stage = 0; stage < stages.Length; stage++)
                    foreach (DeviceFailure failure in Enum.GetValues<DeviceFailure>()) data.Add(layout, stage, failure);
            return data;
        }
    }

    /// <summary>Any call fails while waves are under way: of the ops, of new blocks, of reads.</summary>
    [Theory]
    [MemberData(nameof(Failures))]
    public void A_call_that_fails_changes_no_score_and_leaks_nothing(string layout, int stage, DeviceFailure failure)
    {
        int failures = 0;
        for (int call = 0; ; call += 487)
        {
            using var run = new Run(Layouts[layout]);
            run.Warm();
            run.Devices[stage].Arm(call, failure);
            if (!run.FailsOnce(failure, run.Devices[stage])) break;
            failures++;
        }

        Assert.InRange(failures, 2, 1000);
    }

    /// <summary>A graphics card, whose copies are under way beside its ops, is lost beside the CPU device, or that beside it.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_loss_beside_a_card_changes_no_score(int stage)
    {
        string card = TestDevices.VulkanForModels();
        float[] alone;
        using (var without = new Run(Layouts["two devices"], room: 0, card, "cpu"))
            alone = [.. Enumerable.Range(0, Texts.Length).SelectMany(i => without.Score(i, i + 1))];
        foreach (int call in (int[])[0, 300, 700])
        {
            using var run = new Run(Layouts["two devices"], Room, card, "cpu") { Want = alone };
            run.Warm();
            run.Devices[stage].Arm(call, DeviceFailure.Lost);
            Assert.True(run.FailsOnce(DeviceFailure.Lost, run.Devices[stage]));
        }
    }

    /// <summary>A block is on its way to host memory or back: with the first layer, or between two.</summary>
    [Theory]
    [MemberData(nameof(Failures))]
    public void A_move_that_fails_changes_no_score_and_leaks_nothing(string layout, int stage, DeviceFailure failure)
    {
        int failures = 0;
        foreach (int move in (int[])[0, 1, 4, 11, 18, 31])
        {
            using var run = new Run(Layouts[layout]);
            run.Warm();
            run.Devices[stage].ArmMoves(move, failure);
            failures += run.FailsOnce(failure, run.Devices[stage]) ? 1 : 0;
        }

        Assert.Equal(6, failures);
    }

    /// <summary>One of two devices has no host memory, or no room for what comes back: the other drops its part too.</summary>
    [Theory]
    [InlineData(0, false)]
    [InlineData(1, false)]
    [InlineData(0, true)]
    [InlineData(1, true)]
    public void A_part_that_cannot_move_is_dropped_on_the_other_device(int stage, bool back)
    {
        using var run = new Run(Layouts["two devices"]);
        if (!back) run.Devices[stage].MostSavedRows = 0;
        run.Score(0, 2 * Prompts);
        run.Devices[stage].RestoresFail = back;
        run.Score(2 * Prompts, Texts.Length);
        run.CheckMemory();
        PromptCacheUse use = run.Model.CacheUse;
        if (back) Assert.InRange(use.Misses, 1, Texts.Length);
        else Assert.Equal((0L, 0L), (use.HostCapacity, use.HostStored));
        run.Devices[stage].MostSavedRows = int.MaxValue;
        run.Devices[stage].RestoresFail = false;
        run.Score(0, Texts.Length);
        run.CheckMemory();
    }

    /// <summary>A wave that was packed when another was to leave it its prompt finds none, whatever call of the other fails.</summary>
    [Fact]
    public void A_block_that_was_not_filled_is_not_taken()
    {
        using Checkpoint checkpoint = Checkpoint.Open(Folder);
        int failures = 0, misses = 0;
        for (int call = 0; ; call++)
        {
            using var device = new FailingDevice(ComputeDevices.Open(ComputeDevices.Candidates("cpu")[0]));
            using ScoringEngine engine = ScoringEngine.Load(
                device, checkpoint, new LoadSettings(WeightFormat.Fp16) { CacheTokens = Room, HostCacheTokens = Room });
            int[][] texts = [[0, 1], [Prompts], [Prompts + 1]];
            Wave[] waves = [.. texts.SelectMany(some => Packer.PackWaves([.. some.Select(i => Prompted(Texts[i]))], 128, 128, cache: engine.Cache))];
            Assert.Equal([0, 0, PromptTokens, PromptTokens], waves.SelectMany(wave => wave.CachedCounts));
            device.Arm(call, DeviceFailure.Other);
            PendingWave[] pending = [.. waves.Select(wave => engine.Begin(wave))];
            foreach ((int i, PendingWave wave) in pending.Index())
            {
                try
                {
                    Assert.Equal(texts[i].Select(text => Alone.Value[text]), wave.Finish().Select(reward => reward.Score));
                }
                catch (DeviceException)
                {
                }
                catch (CacheMissException)
                {
                    misses++;
                }

                wave.Dispose();
            }

            if (!device.HasFailed) break;
            failures++;
        }

        Assert.True(failures > 100 && misses > 100, $"{failures} failures, {misses} misses");
    }

    /// <summary>A stage prepares two blocks and a call of the second fails: it has neither.</summary>
    [Fact]
    public void A_block_whose_batch_could_not_begin_is_not_there()
    {
        using Checkpoint checkpoint = Checkpoint.Open(Folder);
        int failures = 0;
        for (int call = 0; ; call++)
        {
            using var device = new FailingDevice(ComputeDevices.Open(ComputeDevices.Candidates("cpu")[0]));
            using var stage = new StageCache(device, checkpoint.Config, 0, checkpoint.Config.Layers);
            var cache = new PromptCache(Room);
            MicroBatch keeps = Pack(0, 1), takes = Pack(Prompts);
            device.Arm(call, DeviceFailure.Other);
            try
            {
                stage.Begin(keeps)!.Dispose();
            }
            catch (DeviceException)
            {
                failures++;
            }

            Assert.Equal(0, device.AllocatedBytes);
            if (!device.HasFailed) break;
            Assert.Throws<CacheMissException>(() => stage.Begin(takes));

            MicroBatch Pack(params int[] texts) =>
                Packer.PackWaves([.. texts.Select(i => Prompted(Texts[i]))], 128, 128, cache: cache).Single().Batches.Single();
        }

        Assert.InRange(failures, 2 * checkpoint.Config.Layers, 100);
    }

    /// <summary>A move fails for another reason than want of memory: its block is nowhere, and later moves are followed.</summary>
    [Fact]
    public void A_move_that_fails_holds_up_no_other()
    {
        using Checkpoint checkpoint = Checkpoint.Open(Folder);
        using var device = new FailingDevice(ComputeDevices.Open(ComputeDevices.Candidates("cpu")[0]));
        using var stage = new StageCache(device, checkpoint.Config, 0, checkpoint.Config.Layers);
        var cache = new PromptCache(Room);
        MicroBatch batch = Packer.PackWaves([Prompted(Texts[0]), Prompted(Texts[1])], 128, 128, cache: cache).Single().Batches.Single();
        using (CacheTransfer transfer = stage.Begin(batch)!) transfer.Complete();
        CachedBlock[] blocks = [.. batch.Cache!.Kept.Select(kept => kept.Block)];
        Assert.Equal(3, blocks.Length); // their common beginning has its own
        device.ArmMoves(1, DeviceFailure.Other);
        Assert.Throws<DeviceException>(
            () => stage.Follow([new CacheMove(cache, blocks[0], CachePlace.Host), .. blocks[1..].Select(block => new CacheMove(cache, block, CachePlace.Nowhere))]));
        Assert.Equal((0, 0), (device.AllocatedBytes, device.PinnedBytes));
        Assert.Equal(CachePlace.Nowhere, blocks[0].Place);
    }

    private static PackedText Prompted(TokenizedText text) => PackedText.ReadAtEnd(text.Ids) with { Prompt = PromptTokens };

    /// <summary>A model in given stages; disposing it must leave nothing on any of its devices.</summary>
    private sealed class Run : IDisposable
    {
        private readonly Checkpoint _checkpoint = Checkpoint.Open(Folder);
        private readonly ModelLock _lock;
        private readonly List<FailingDevice> _all = [];
        private readonly (long Allocated, long Pinned)[] _empty;
        private readonly int _stages;

        public Run(StageLayers[] stages, int room = Room, params string[] devices)
        {
            _stages = stages.Length;
            Want = devices.Length == 0 ? Alone.Value : null;
            RewardModelOptions options = new() { Device = "cpu", BatchTokens = 64, Weights = WeightFormat.Fp16 };
            ExecutionPlan plan = RewardModel.MakePlan(Folder, options);
            plan = plan with { WaveTokens = 64, Stages = [.. stages.Select((layers, i) => plan.Stages[0] with { Layers = layers, Device = DeviceOf(i) })] };
            DeviceInfo DeviceOf(int stage) => devices.Length == 0 ? plan.Stages[0].Device : ComputeDevices.Candidates(devices[stage])[0];
            var settings = new LoadSettings(WeightFormat.Fp16) { CacheTokens = room, HostCacheTokens = room };
            Model = PlacedModel.Load(Open, _checkpoint, plan, settings, null, null, default);
            _lock = new ModelLock(Model);
            // What comes with the first text stays.
            Score(-1, 0);
            _empty = [.. Devices.Select(device => (device.AllocatedBytes, device.PinnedBytes))];
        }

        public PlacedModel Model { get; }

        /// <summary>Each text's own score, or null where that is to be found.</summary>
        public float[]? Want { get; init; }

        private bool IsOnCpu => Model.Plan.Stages.All(stage => stage.Device.Kind == DeviceKind.Cpu);

        /// <summary>Those of the stages, in order.</summary>
        public FailingDevice[] Devices => [.. _all.TakeLast(_stages)];

        /// <summary>Fills the cache on the devices and in host memory.</summary>
        public void Warm()
        {
            Score(0, 2 * Prompts);
            CheckMemory();
            Assert.True(Model.CacheUse is { HostStored: > 60, Stored: > 100 }, $"{Model.CacheUse}");
        }

        /// <summary>
        /// Scores with a device that is to fail; false if it did not. A failure that is not mended is the caller's, and the next call works.
        /// </summary>
        public bool FailsOnce(DeviceFailure failure, FailingDevice device)
        {
            PromptCacheUse before = Model.CacheUse;
            bool failed = false;
            for (int i = 2 * Prompts; i < Texts.Length; i += 6)
            {
                try
                {
                    Score(i, i + 6);
                }
                catch (DeviceException e) when (failure == DeviceFailure.Other && !failed)
                {
                    Assert.Contains("Other (on purpose)", e.Message);
                    failed = true;
                }
            }

            if (!device.HasFailed) return false;
            Assert.Equal(failure == DeviceFailure.Lost ? 2 * _stages : _stages, _all.Count);
            CheckMemory();
            Score(0, Texts.Length);
            CheckMemory();
            PromptCacheUse after = Model.CacheUse;
            Assert.True(
                after.Taken > before.Taken && after.Kept >= before.Kept && after.Evicted >= before.Evicted && after.Misses >= before.Misses
                    && after.HostTaken >= before.HostTaken && after.HostEvicted >= before.HostEvicted, $"{before}, then {after}");
            return true;
        }

        /// <summary>Scores texts as one call does, several waves at a time; from -1 to 0 a text that is too short to be kept.</summary>
        public float[] Score(int from, int to)
        {
            TokenizedText[] texts = from < 0 ? [new TokenizedText([3, 4, 5, 6])] : Texts[from..to];
            var window = new ScoringWindow(texts, 0, text => PackedText.ReadAtEnd(text.Ids));
            using (var pipeline = new ScoringPipeline(_lock, 5, sharePrefixes: true, _ => { }, _ => { }, default))
            {
                using (IEnumerator<Wave> waves = pipeline.Pack(window))
                {
                    while (pipeline.AddNext(window, waves))
                    {
                    }
                }

                while (pipeline.FinishOldest())
                {
                }
            }

            float[] scores = [.. window.Results.Select(result => result.Value.Score)];
            if (from >= 0 && Want is { } want) Assert.Equal(want[from..to], scores);
            return scores;
        }

        /// <summary>After a wave that follows the cache's last decisions, each stage has the cache's tokens and no other bytes.</summary>
        public void CheckMemory()
        {
            Score(-1, 0);
            PromptCacheUse use = Model.CacheUse;
            Assert.InRange(use.Stored, 0, use.Capacity);
            Assert.InRange(use.HostStored, 0, use.HostCapacity);
            BackboneConfig config = _checkpoint.Config;
            long layerToken = 2L * sizeof(float) * ((config.KeyValueHeads * config.HeadDimension + 31) / 32 * 32);
            foreach ((int i, StagePlan stage) in Model.Plan.Stages.Index())
            {
                long token = layerToken * stage.Layers.Count;
                if (!IsOnCpu) continue; // others round up what they take
                Assert.Equal(
                    (_empty[i].Allocated + (use.Stored * token), _empty[i].Pinned + (use.HostStored * token), 0),
                    (Devices[i].AllocatedBytes, Devices[i].PinnedBytes, Devices[i].Unread));
            }
        }

        public void Dispose()
        {
            _lock.Dispose();
            _checkpoint.Dispose();
            Assert.All(_all, d => Assert.Equal((0, 0, 0, true), (d.AllocatedBytes, d.PinnedBytes, d.Unread, d.IsDisposed)));
        }

        private FailingDevice Open(StagePlan stage)
        {
            _all.Add(new FailingDevice(ComputeDevices.Open(stage.Device)));
            return _all[^1];
        }
    }
}
