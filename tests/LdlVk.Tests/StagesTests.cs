using CsCheck;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>
/// A model over several devices, and with layers that are streamed: the scores have the bits of the model on one device of the same kind,
/// whatever the division, the batches and the waves.
/// </summary>
[Trait("Duration", "Long")]
public sealed class StagesTests : DeviceTest
{
    /// <summary>Each driver with itself, opened twice.</summary>
    public static TheoryData<string> Twice => [.. TestDevices.ForModels.Where(id => !id.EndsWith(" tile", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Twice))]
    public void Any_division_gives_the_same_bits(string id)
    {
        using IDevice first = TestDevices.Get(id).Open(), second = TestDevices.Get(id).Open();
        using Checkpoint checkpoint = Checkpoint.Open(Goldens.Read("b_bf16_sharded").Folder);
        int count = checkpoint.Config.Layers;
        // A format is as good as another for what is tested here, and a software driver takes its time.
        foreach (WeightFormat format in id == "cpu" ? (WeightFormat[])[WeightFormat.Fp32, WeightFormat.Int8] : [WeightFormat.Int8])
        {
            var settings = new LoadSettings(format);
            float[] want;
            using (ScoringEngine whole = ScoringEngine.Load(first, checkpoint, settings)) want = Scores(whole, 4096, 4096, share: true);
            foreach (int split in (int[])[1, count - 1])
            {
                StageLayers[][] divisions =
                [
                    [new StageLayers(0, split), new StageLayers(split, count - split)],
                    [new StageLayers(0, split, Streamed: split, Slots: 1), new StageLayers(split, count - split, Streamed: 1, Slots: 1, InHostMemory: true)],
                ];
                foreach (StageLayers[] d in divisions)
                {
                    using ScoringEngine divided = ScoringEngine.Load([new PlacedStage(first, d[0]), new PlacedStage(second, d[1])], checkpoint, settings);
                    Assert.Equal(want, Scores(divided, 20, 20, share: false));
                    Assert.Equal(want, Scores(divided, 40, 200, share: true));
                }
            }

            Assert.Equal(0, first.AllocatedBytes + second.AllocatedBytes);
        }
    }

    /// <summary>Streaming with any number of resident layers and slots.</summary>
    [Trait("Wine", "Alone")]
    [Theory]
    [MemberData(nameof(Twice))]
    public void Streamed_layers_give_the_same_bits(string id)
    {
        using IDevice device = TestDevices.Get(id).Open();
        using Checkpoint checkpoint = Checkpoint.Open(Goldens.Read("b_bf16_sharded").Folder);
        int count = checkpoint.Config.Layers;
        var settings = new LoadSettings(WeightFormat.Int8);
        float[] want;
        using (ScoringEngine whole = ScoringEngine.Load(device, checkpoint, settings)) want = Scores(whole, 4096, 4096, share: true);
        foreach ((int streamed, int slots) in ((int, int)[])[(1, 1), (count, 1), (count - 1, 2), (count, 3)])
        {
            using ScoringEngine engine = ScoringEngine.Load(
                [new PlacedStage(device, new StageLayers(0, count, streamed, Math.Min(slots, streamed), InHostMemory: slots == 2))], checkpoint, settings);
            Assert.Equal(want, Scores(engine, 30, 120, share: true));
            Assert.Equal(want, Scores(engine, 4096, 4096, share: false));
        }

        Assert.Equal(0, device.AllocatedBytes);
        Assert.Equal(0, device.PinnedBytes);
    }

    /// <summary>Best-of-N with a prompt that is kept from micro-batch to micro-batch of a wave, against each text alone.</summary>
    [Theory]
    [MemberData(nameof(Twice))]
    public void Prefixes_kept_over_micro_batches_give_the_same_bits(string id)
    {
        using var model = new Loaded(id, Goldens.Read("a_f32_sliding").Folder, WeightFormat.Fp32);
        Dictionary<string, float> alone = [];
        int kept = 0;
        Gen<(int[][] Texts, int BatchTokens, int WaveTokens)> gen =
            from prompts in Gen.Int[1, 3]
            from texts in Gen.Select(Gen.Int[0, 2], Gen.Int[0, 60].Array[0, 12]).Array[1, 14]
            from lengths in Gen.Int[3, 40].Array[3]
            from batch in Gen.Int[4, 60]
            from waves in Gen.Int[1, 8]
            select ((int[][])[.. texts.Select(t => (int[])[.. Enumerable.Range(2 + (t.Item1 % prompts), lengths[t.Item1 % prompts]), .. t.Item2.Select(x => x + 2)])], batch, batch * waves);
        gen.Sample(
            x =>
            {
                foreach (Wave wave in Packer.PackWaves(x.Texts, x.BatchTokens, x.WaveTokens))
                {
                    kept += wave.Batches.Count(b => b.KeptRows > 0);
                    Assert.True(wave.Rows <= x.WaveTokens || wave.Chains().Count() == 1);
                    Reward[] rewards = model.Engine.Score(wave);
                    int[] numbers = [.. wave.Texts];
                    for (int i = 0; i < rewards.Length; i++)
                    {
                        int[] ids = x.Texts[numbers[i]];
                        string key = string.Join(',', ids);
                        if (!alone.TryGetValue(key, out float want)) alone.Add(key, want = model.Engine.Score(Packer.Pack([ids], 4096).Single())[0].Score);
                        Assert.Equal(want, rewards[i].Score);
                    }
                }
            },
            iter: 24, threads: 1, seed: "0000KOIKg5O3");
        Assert.True(kept > 2, $"{kept} micro-batches with a kept prefix are too few to tell");
    }

    /// <summary>Two drivers in one model, and each with the processor: close to the reference, as each of them is.</summary>
    [Fact]
    public void Devices_of_different_kinds_work_together()
    {
        string[] ids = [.. TestDevices.ForModels.Where(id => id == "cpu" || id.Count(c => c is ' ') == 0)];
        Assert.SkipWhen(ids.Length < 2, "there is only one device");
        GoldenCase golden = Goldens.Read("b_bf16_sharded");
        using Checkpoint checkpoint = Checkpoint.Open(golden.Folder);
        int count = checkpoint.Config.Layers, half = count / 2;
        foreach ((string a, string b) in ids.SelectMany(a => ids.Where(b => b != a).Select(b => (a, b))))
        {
            using IDevice first = TestDevices.Get(a).Open(), second = TestDevices.Get(b).Open();
            using ScoringEngine engine = ScoringEngine.Load(
                [new PlacedStage(first, new StageLayers(0, half)), new PlacedStage(second, new StageLayers(half, count - half))], checkpoint, new LoadSettings(WeightFormat.Fp32));
            foreach (GoldenInput input in golden.Inputs)
            {
                MicroBatch batch = Packer.Pack([.. input.Rows.Select(r => r.Ids)], 4096).Single();
                Reward[] rewards = engine.Score(batch);
                for (int i = 0; i < rewards.Length; i++) Assert.Equal(input.Rows[batch.Texts[i]].Reference.Score, rewards[i].Score, 2e-4);
            }
        }
    }

    private static float[] Scores(ScoringEngine engine, int batchTokens, int waveTokens, bool share)
    {
        int[][] texts =
        [
            .. Enumerable.Range(0, 8).Select(i => (int[])[.. Enumerable.Range(2, 12), .. Enumerable.Range(20 + i, 1 + (i % 4))]),
            [2, 3], [2, 3, 4, 5], [.. Enumerable.Range(2, 60)], [2, 3],
        ];
        float[] scores = new float[texts.Length];
        List<(Wave Wave, PendingWave Pending)> pendingWaves = [.. Packer.PackWaves(texts, batchTokens, waveTokens, share).Select(wave => (wave, engine.Begin(wave)))];
        foreach ((Wave wave, PendingWave pending) in pendingWaves)
        {
            using (pending)
            {
                int[] numbers = [.. wave.Texts];
                Reward[] rewards = pending.Finish();
                for (int i = 0; i < rewards.Length; i++) scores[numbers[i]] = rewards[i].Score;
            }
        }

        return scores;
    }
}
