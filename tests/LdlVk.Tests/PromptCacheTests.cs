using CsCheck;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>
/// The prompt cache: a text's score has the same bits with the cache cold, warm, evicting or off, on one device, over several, and
/// streamed.
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
        PlacedStage[][] places =
        [
            [new PlacedStage(first, new StageLayers(0, count))],
            [new PlacedStage(first, new StageLayers(0, 1)), new PlacedStage(second, new StageLayers(1, count - 1))],
            [new PlacedStage(first, new StageLayers(0, count, Streamed: count, Slots: 1))],
        ];
        long taken = 0, evicted = 0, kept = 0;
        foreach (PlacedStage[] place in device == "cpu" && Goldens.Cases.Contains(name) ? places : places[..1])
        {
            Texts(checkpoint).Array[1, 4].Array[4, 12].Select(Gen.Int[40, 160], Gen.Int[20, 120], Gen.Int[20, 300]).Sample(
                x =>
                {
                    (PackedText[][] windows, int capacity, int batch, int wave) = x;
                    using ScoringEngine engine = ScoringEngine.Load(place, checkpoint, settings with { CacheTokens = capacity });
                    foreach (PackedText[] texts in windows)
                    {
                        foreach (Wave packed in Packer.PackWaves(texts, batch, wave, cache: engine.Cache))
                        {
                            Reward[] rewards = engine.Score(packed);
                            foreach ((int i, int text) in packed.Texts.Index()) Assert.Equal(Alone(texts[text]), InvarianceTests.Bits(rewards[i]));
                        }

                        Assert.InRange(engine.Cache!.Use.Stored, 0, capacity);
                    }

                    PromptCacheUse use = engine.Cache!.Use;
                    Assert.Equal(0, use.Misses);
                    (taken, kept, evicted) = (taken + use.Taken, kept + use.Kept, evicted + use.Evicted);
                },
                iter: place.Length == 1 && place[0].Layers.Streamed == 0 ? 4 : 2, threads: 1, seed: "0000KOIKg5O3");
        }

        Assert.True(taken > 100 && kept > 100 && evicted > 0, $"{taken} taken, {kept} kept, {evicted} evicted");

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
