using CsCheck;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>
/// The prompt cache: a text's score has the same bits with the cache cold, warm, evicting, with its blocks in host memory, or off, on one
/// device, over several, and streamed.
/// </summary>
[Trait("Wine", "DirectML")]
public sealed class PromptCacheTests : DeviceTest
{
    public static TheoryData<string, string, WeightFormat, ComputeMode> Cases
    {
        get
        {
            TheoryData<string, string, WeightFormat, ComputeMode> data = [];
            foreach (string device in TestDevices.ForModels.Where(id => !id.EndsWith(" tile", StringComparison.Ordinal)))
            {
                data.Add(device, "a_f32_sliding", WeightFormat.Fp32, ComputeMode.Auto);
                // On DirectML it takes as long as all else; the conformance tests hold the op to its bits.
                if (!InvarianceTests.IsSlow(device)) data.Add(device, "b_bf16_sharded", WeightFormat.Int8, ComputeMode.Int8);
                data.Add(device, "c_bf16_outliers", WeightFormat.Fp16, ComputeMode.Auto);
            }

            if (!TestDevices.ForModels.Contains("cpu")) return data;
            foreach (string name in (string[])["armorm_llama", "qrm_gemma2", "urm_llama", "qwen2_prm", "skywork_o1_prm"])
                data.Add("cpu", name, WeightFormat.Fp32, ComputeMode.Auto);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Scores_do_not_depend_on_the_cache(string device, string name, WeightFormat format, ComputeMode compute)
    {
        GoldenCase golden = Goldens.Cases.Contains(name) ? Goldens.Read(name) : FamilyGoldens.Read(name);
        using Checkpoint checkpoint = Checkpoint.Open(golden.Folder, golden.Adapter, golden.Head);
        using IDevice first = TestDevices.Get(device).Open(), second = TestDevices.Get(device).Open();
        var settings = new LoadSettings(format, Compute: compute);
        int count = checkpoint.Config.Layers;
        Dictionary<string, uint[]> alone = [];
        using ScoringEngine whole = ScoringEngine.Load(first, checkpoint, settings);
        long weights = first.AllocatedBytes;
        PlacedStage[][] places =
        [
            [new PlacedStage(first, new StageLayers(0, count))],
            [new PlacedStage(first, new StageLayers(0, 1)), new PlacedStage(second, new StageLayers(1, count - 1))],
            [new PlacedStage(first, new StageLayers(0, count, Streamed: count, Slots: 1))],
        ];
        long taken = 0, evicted = 0, kept = 0, returned = 0;
        foreach (PlacedStage[] place in device == "cpu" && Goldens.Cases.Contains(name) ? places : places[..1])
        {
            Count(InTurn(place));
            Texts(checkpoint).Array[1, 4].Array[3, 6].Select(Gen.Int[40, 120], Gen.Int[0, 600], Gen.Int[20, 120], Gen.Int[20, 300]).Sample(
                x =>
                {
                    (PackedText[][] windows, int capacity, int host, int batch, int wave) = x;
                    using ScoringEngine engine = ScoringEngine.Load(place, checkpoint, settings with { CacheTokens = capacity, HostCacheTokens = host });
                    foreach (PackedText[] texts in (PackedText[][])[.. windows, .. windows])
                    {
                        foreach (Wave packed in Packer.PackWaves(texts, batch, wave, cache: engine.Cache))
                        {
                            Reward[] rewards = engine.Score(packed);
                            foreach ((int i, int text) in packed.Texts.Index()) Assert.Equal(Alone(texts[text]), InvarianceTests.Bits(rewards[i]));
                        }

                        Assert.InRange(engine.Cache!.Use.Stored, 0, capacity);
                        Assert.InRange(engine.Cache!.Use.HostStored, 0, host);
                    }

                    PromptCacheUse use = engine.Cache!.Use;
                    Assert.Equal(0, use.Misses);
                    Count(use);
                },
                iter: place.Length == 1 && place[0].Layers.Streamed == 0 ? 4 : 2, threads: 1, seed: "0000KOIKg5O3");
        }

        Assert.True(taken > 100 && kept > 100 && evicted > 0 && returned > 0, $"{taken} taken, {kept} kept, {evicted} evicted, {returned} came back");
        Assert.Equal((weights, 0, 0, 0), (first.AllocatedBytes, first.PinnedBytes, second.AllocatedBytes, second.PinnedBytes));

        void Count(PromptCacheUse use) =>
            (taken, kept, evicted, returned) = (taken + use.Taken, kept + use.Kept, evicted + use.Evicted, returned + use.HostTaken);

        // Ten prompts in turn, of which the device has about half and host memory the others. The random texts that follow may
        // evict nothing, since only their first sample is the seed's; these always do.
        PromptCacheUse InTurn(PlacedStage[] place)
        {
            using ScoringEngine engine = ScoringEngine.Load(place, checkpoint, settings with { CacheTokens = 250, HostCacheTokens = 400 });
            for (int i = 0; i < 40; i++)
            {
                PackedText text = Text(checkpoint, [.. Enumerable.Range(0, 40).Select(n => 2 + (n * (3 + (i % 10)) % 190)), .. checkpoint.Head.GatePattern, 7 + i, 5]);
                foreach (Wave packed in Packer.PackWaves([text with { Prompt = 40 }], 64, 64, cache: engine.Cache))
                    Assert.Equal(Alone(text), InvarianceTests.Bits(engine.Score(packed)[0]));
            }

            PromptCacheUse use = engine.Cache!.Use;
            Assert.Equal(0, use.Misses);
            Assert.True(use.HostTaken > 200 && use.Taken > 200, $"{use}");
            Assert.True(place.Sum(stage => stage.Device == place[0].Device ? stage.Device.PinnedBytes : 0) > 0);
            return use;
        }

        uint[] Alone(PackedText text)
        {
            string key = string.Join(',', text.Ids);
            if (alone.TryGetValue(key, out uint[]? bits)) return bits;
            return alone[key] = InvarianceTests.Bits(whole.Score(Packer.Pack([text], 4096).Single())[0]);
        }
    }

    /// <summary>Texts made of a few beginnings, which some texts leave early.</summary>
    private static Gen<PackedText> Texts(Checkpoint checkpoint) =>
        from beginning in Gen.Int[0, 4]
        from kept in Gen.Int[0, 90]
        from own in Gen.Int[0, 200].Array[0, 30]
        select Text(checkpoint,
            [.. Enumerable.Range(0, kept).Select(i => 2 + (((i * 7) + (beginning * 31)) % 200)), .. checkpoint.Head.GatePattern, .. own, 5]);

    private static PackedText Text(Checkpoint checkpoint, int[] ids)
    {
        int[]? steps = checkpoint.Head.StepMarks == StepMarks.None ? null : [.. ((int[])[(ids.Length - 1) / 2, ids.Length - 1]).Distinct()];
        int[] reads = checkpoint.ReadPositions(ids, steps);
        // Right or wrong: what is kept changes no score.
        return new PackedText(ids[..(reads.Max() + 1)], reads) { Prompt = (ids[0] * 7 + ids.Length) % (reads.Max() + 1) };
    }
}
