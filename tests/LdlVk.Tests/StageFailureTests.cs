using LdlVk.Cpu;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Model.Heads;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>
/// A device of several that fails: each text gets its score once, in order, with the bits it has without the failure, or the error names
/// the device and its layers; nothing stays behind, and nobody waits for ever.
/// </summary>
[Trait("Duration", "Long")]
public sealed class StageFailureTests
{
    private static readonly string Folder = Goldens.Read("b_bf16_sharded").Folder;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);
    private static readonly int[][] Splits = [[2, 3], [1, 3, 1]];
    private static readonly Lazy<Task<float?[]>> Want = new(async () =>
    {
        using RewardModel model = RewardModel.Load(Folder, new RewardModelOptions { Device = "cpu", BatchTokens = 1, Weights = WeightFormat.Fp16 });
        return await Score(model);
    });

    /// <summary>Texts with prompts that are shared, texts within others, and one that is longer than a batch.</summary>
    private static readonly TokenizedText[] Texts =
    [
        .. Enumerable.Range(0, 12).Select(i => new TokenizedText([.. Enumerable.Range(2, 9), .. Enumerable.Range(20 + i, 1 + (i % 4))])),
        new([2, 3]), new([2, 3, 4, 5]), new([.. Enumerable.Range(2, 60)]), TokenizedText.Failed("bad"), new([2, 3]),
    ];

    public static TheoryData<int, int, DeviceFailure> Failures
    {
        get
        {
            TheoryData<int, int, DeviceFailure> data = [];
            for (int split = 0; split < Splits.Length; split++)
                for (int stage = 0; stage < Splits[split].Length; stage++)
                    foreach (DeviceFailure failure in Enum.GetValues<DeviceFailure>()) data.Add(split, stage, failure);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Failures))]
    public async Task A_failure_in_any_stage_at_any_call_loses_nothing(int split, int stage, DeviceFailure failure)
    {
        int first = Splits[split][..stage].Sum(), last = first + Splits[split][stage] - 1, call = 0;
        for (; ; call += 97)
        {
            using var run = new Run(Splits[split]);
            FailingDevice device = run.Devices[stage];
            device.Arm(call, failure);
            if (failure == DeviceFailure.Other)
            {
                DeviceException? e = null;
                try
                {
                    await run.Score();
                }
                catch (DeviceException caught)
                {
                    e = caught;
                }

                if (!device.HasFailed) break;
                Assert.Contains($"layers {first} to {last} of 5): Other (on purpose)", e!.Message);
                Assert.Equal(await Want.Value, await run.Score());
                continue;
            }

            Assert.Equal(await Want.Value, await run.Score());
            if (!device.HasFailed) break;
            // What was under way in other waves may be hit as well, and is mended with the first.
            Assert.NotEmpty(run.Warnings);
            Assert.Contains($"cpu ({device.Info.Name}; layers {first} to {last} of 5): {failure} (on purpose)", run.Warnings[0]);
            Assert.Equal(failure == DeviceFailure.Lost ? 2 * Splits[split].Length : Splits[split].Length, run.Devices.Count);
        }

        Assert.InRange(call, 97, 20_000);
    }

    [Fact]
    public async Task A_device_that_does_not_come_back_is_named_and_results_before_it_stand()
    {
        using var run = new Run([2, 3], batchTokens: 4);
        TokenizedText[] many = [.. Enumerable.Range(0, 400).Select(i => new TokenizedText([2 + (i % 50), 3, 4]))];
        List<float> want = [];
        await foreach (ScoreResult result in run.Model.ScoreManyAsync(many)) want.Add(result.Value.Score);
        List<float> got = [];
        int opened = 0;
        run.Opened = _ =>
        {
            if (++opened == 2) throw new DeviceException("no such device (on purpose)");
        };
        run.Devices[1].Arm(4000, DeviceFailure.Lost);
        DeviceException e = await Assert.ThrowsAsync<DeviceException>(async () =>
        {
            await foreach (ScoreResult result in run.Model.ScoreManyAsync(many)) got.Add(result.Value.Score);
        }).WaitAsync(Patience);
        Assert.InRange(got.Count, 1, 399);
        Assert.Equal(want.Take(got.Count), got);
        string cpu = run.Devices[0].Info.Name;
        foreach (string part in (string[])[$"cpu ({cpu}; layers 0 to 1) with cpu ({cpu}; layers 2 to 4) was lost", $"cpu ({cpu}; layers 2 to 4) cannot be opened: no such device (on purpose)", "Device"])
            Assert.Contains(part, e.Message);
        run.Opened = _ => { };
        Assert.Equal(await Want.Value, await run.Score());
    }

    /// <summary>All texts are read together here, and still those before the failure have their results.</summary>
    [Fact]
    public async Task Results_before_a_failure_stand_also_in_the_middle_of_a_window()
    {
        TokenizedText[] window = [.. Enumerable.Range(0, 16).Select(i => new TokenizedText([2 + i, 3, 4, 5]))];
        List<float> want = [];
        HashSet<int> counts = [];
        for (int call = 0; ; call += 150)
        {
            using var run = new Run([2, 3], batchTokens: 4);
            run.Devices[0].Arm(call, DeviceFailure.Other);
            List<float> got = [];
            try
            {
                await foreach (ScoreResult result in run.Model.ScoreManyAsync(window)) got.Add(result.Value.Score);
            }
            catch (DeviceException)
            {
                if (want.Count == 0) await foreach (ScoreResult result in run.Model.ScoreManyAsync(window)) want.Add(result.Value.Score);
            }

            Assert.Equal(want.Take(got.Count), got);
            counts.Add(got.Count);
            if (!run.Devices[0].HasFailed) break;
        }

        Assert.True(counts.Count > 3 && counts.Contains(16), string.Join(", ", counts));
    }

    [Fact]
    public async Task Cancellation_drains_and_stopping_too()
    {
        using var run = new Run([1, 3, 1], batchTokens: 4);
        TokenizedText[] many = [.. Enumerable.Repeat(new TokenizedText([2, 3, 4]), 1000)];
        long[] before = [.. run.Devices.Select(d => d.AllocatedBytes)];
        for (int i = 0; i < 5; i++)
        {
            using var cancellation = new CancellationTokenSource();
            int results = 0;
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
            {
                await foreach (ScoreResult _ in run.Model.ScoreManyAsync(many, null, cancellation.Token))
                    if (results++ == 30 * i) await cancellation.CancelAsync();
            }).WaitAsync(Patience);
            Assert.Equal(before, run.Devices.Select(d => d.AllocatedBytes));
            await foreach (ScoreResult _ in run.Model.ScoreManyAsync(many)) break;
            Assert.Equal(before, run.Devices.Select(d => d.AllocatedBytes));
            Assert.All(run.Devices, d => Assert.Equal(0, d.Unread));
        }

        Assert.Equal(await Want.Value, await run.Score());
    }

    /// <summary>What is under way when the model is disposed is given up: it is not computed first.</summary>
    [Fact]
    public void Disposing_gives_up_what_is_under_way()
    {
        using Checkpoint checkpoint = Checkpoint.Open(Folder);
        using var device = new PacedDevice(CpuBackend.Open(CpuBackend.DeviceId), TimeSpan.FromMilliseconds(20), TimeSpan.Zero);
        ScoringEngine engine = ScoringEngine.Load(
            [new PlacedStage(device, new StageLayers(0, 2)), new PlacedStage(device, new StageLayers(2, 3))], checkpoint, new LoadSettings(WeightFormat.Fp16));
        PendingWave[] pending = [.. Enumerable.Range(0, 100).Select(_ => engine.Begin(new Wave([Packer.Pack([[2, 3]], 64).Single()])))];
        long start = Environment.TickCount64;
        engine.Dispose();
        Assert.InRange(Environment.TickCount64 - start, 0, 5000); // all of them would take 10 s
        Assert.ThrowsAny<OperationCanceledException>(() => pending[99].Finish());
        foreach (PendingWave p in pending) p.Dispose();
        Assert.Equal(0, device.AllocatedBytes);
    }

    [Fact]
    public async Task Several_callers_and_a_failure_get_their_scores()
    {
        foreach (DeviceFailure failure in (DeviceFailure[])[DeviceFailure.Lost, DeviceFailure.OutOfMemory])
        {
            using var run = new Run([1, 3, 1]);
            run.Devices[1].Arm(300, failure);
            float?[][] got = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => run.Score()))).WaitAsync(Patience);
            foreach (float?[] scores in got) Assert.Equal(await Want.Value, scores);
            Assert.Equal(failure == DeviceFailure.Lost ? 6 : 3, run.Devices.Count);
        }
    }

    [Fact]
    public void A_trace_over_several_stages_is_that_of_one()
    {
        using Checkpoint checkpoint = Checkpoint.Open(Folder);
        using IDevice a = CpuBackend.Open(CpuBackend.DeviceId), b = CpuBackend.Open(CpuBackend.DeviceId);
        var settings = new LoadSettings(WeightFormat.Int8);
        MicroBatch batch = Packer.Pack([[2, 3, 4, 5, 6]], 64).Single();
        Recorder want = new(), got = new();
        using (ScoringEngine one = ScoringEngine.Load(a, checkpoint, settings)) one.Score(batch, want);
        using (ScoringEngine two = ScoringEngine.Load([new PlacedStage(a, new StageLayers(0, 2)), new PlacedStage(b, new StageLayers(2, 3, 2, 1))], checkpoint, settings)) two.Score(batch, got);
        Assert.Equal(want.Names, got.Names);
        Assert.InRange(want.Names.Count, 50, 500);
        Assert.Equal(want.Values, got.Values);
    }

    [Fact]
    public async Task Computing_in_int8_over_stages_gives_the_same_bits()
    {
        RewardModelOptions options = new() { Device = "cpu", Weights = WeightFormat.Int8, Compute = ComputeMode.Int8, BatchTokens = 24, MeasureComputeError = true };
        using RewardModel one = RewardModel.Load(Folder, options), two = RewardModel.Load(Folder, options with { Device = "cpu,cpu", Split = [3, 2] });
        Assert.Equal(await Score(one), await Score(two));
        Assert.Equal(one.ComputeError, two.ComputeError);
        Assert.NotNull(two.ComputeError);
    }

    /// <summary>Reading a streamed layer fails at any read, also half-way through a matrix: the wave fails, and the next is right.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_stream_that_fails_in_a_wave_serves_the_next(int slots)
    {
        using Checkpoint checkpoint = Checkpoint.Open(Folder);
        using IDevice a = CpuBackend.Open(CpuBackend.DeviceId), b = CpuBackend.Open(CpuBackend.DeviceId);
        var settings = new LoadSettings(WeightFormat.Int8);
        Wave wave = new([.. Packer.Pack([[2, 3, 4], [5, 6, 7, 8], [9, 10]], 4)]);
        float[] want;
        using (ScoringEngine whole = ScoringEngine.Load(a, checkpoint, settings)) want = [.. whole.Score(wave).Select(r => r.Score)];
        var weights = new FlakyWeights(new CheckpointWeights(checkpoint, settings));
        using (ScoringEngine engine = ScoringEngine.Load(
            [new PlacedStage(a, new StageLayers(0, 1)), new PlacedStage(b, new StageLayers(1, 4, 4 - (slots - 1), slots))], weights, ComputeMode.Auto, null, null, default))
        {
            long before = b.AllocatedBytes;
            int failed = 0;
            for (int reads = 0; reads < 60; reads++)
            {
                weights.Left = reads;
                try
                {
                    Assert.Equal(want, engine.Score(wave).Select(r => r.Score));
                }
                catch (CheckpointException e)
                {
                    Assert.Contains("cut short (on purpose)", e.Message);
                    failed++;
                }

                weights.Left = -1;
                Assert.Equal(before, b.AllocatedBytes);
                Assert.Equal(want, engine.Score(wave).Select(r => r.Score));
                Assert.Equal(want, engine.Score(wave).Select(r => r.Score));
            }

            Assert.InRange(failed, 20, 60);
        }

        Assert.Equal(0, a.AllocatedBytes + b.AllocatedBytes);
    }

    private static async Task<float?[]> Score(RewardModel model)
    {
        List<float?> scores = [];
        await foreach (ScoreResult result in model.ScoreManyAsync(Texts))
        {
            Assert.Equal(scores.Count, result.Index);
            scores.Add(result.Reward?.Score);
        }

        return [.. scores];
    }

    /// <summary>A model over devices that can be made to fail; disposing it must leave nothing on any of them.</summary>
    private sealed class Run : IDisposable
    {
        public Run(int[] split, int batchTokens = 24)
        {
            Model = RewardModel.Load(Folder, _ => Next(), new RewardModelOptions
            {
                Device = string.Join(',', split.Select(_ => "cpu")), Split = split, BatchTokens = batchTokens, Weights = WeightFormat.Fp16,
            });
            Model.Warning += w => Warnings.Add(w.ToString());
        }

        public RewardModel Model { get; }
        public List<FailingDevice> Devices { get; } = [];
        public List<string> Warnings { get; } = [];

        /// <summary>Told of each device that is opened.</summary>
        public Action<FailingDevice> Opened { get; set; } = _ => { };

        public Task<float?[]> Score() => StageFailureTests.Score(Model).WaitAsync(Patience);

        public void Dispose()
        {
            Model.Dispose();
            Assert.All(Devices, d => Assert.Equal((0, 0, true), (d.AllocatedBytes, d.PinnedBytes, d.IsDisposed)));
        }

        private FailingDevice Next()
        {
            var device = new FailingDevice(CpuBackend.Open(CpuBackend.DeviceId));
            try
            {
                Opened(device);
            }
            catch
            {
                device.Dispose();
                throw;
            }

            Devices.Add(device);
            return device;
        }
    }

    private sealed class Recorder : ITrace
    {
        public List<string> Names { get; } = [];
        public List<float> Values { get; } = [];

        public void Record(string name, IDevice device, ITensor tensor)
        {
            float[] values = new float[tensor.Rows * tensor.Columns];
            device.Read(tensor, values);
            Names.Add(name);
            Values.AddRange(values);
        }
    }

    /// <summary>Weights whose reads of matrices fail, half done, when so many have been made.</summary>
    private sealed class FlakyWeights(IModelWeights inner) : IModelWeights
    {
        /// <summary>Reads until one fails; negative for never.</summary>
        public int Left { get; set; } = -1;

        public BackboneConfig Config => inner.Config;
        public WeightFormat Format => inner.Format;
        public ModelHead? Head => inner.Head;
        public WeightFormat HeadFormat => inner.HeadFormat;
        public EmbeddingTable Embedding() => inner.Embedding();
        public IWeightSource Matrix(string name) => new Source(inner.Matrix(name), this);
        public float[] Vector(string name) => inner.Vector(name);
        public void Forget() => inner.Forget();

        private sealed class Source(IWeightSource matrix, FlakyWeights weights) : IWeightSource
        {
            public string Name => matrix.Name;
            public int OutputFeatures => matrix.OutputFeatures;
            public int InputFeatures => matrix.InputFeatures;
            public WeightFormat Format => matrix.Format;
            public float Scale => matrix.Scale;

            public void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales)
            {
                if (weights.Left-- == 0)
                {
                    values.Fill(0x55);
                    throw new CheckpointException("cut short (on purpose)");
                }

                matrix.ReadRows(firstRow, rowCount, values, scales);
            }
        }
    }
}
