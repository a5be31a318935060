using CsCheck;
using LdlVk.Runtime.Batching;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>
/// Bitwise invariance: a text's score has the same bits alone and in any batch, in any order, with prefixes shared or not, at any size
/// of the micro-batch.
/// </summary>
[Trait("Wine", "Together")]
public sealed class InvarianceTests : DeviceTest
{
    public static TheoryData<string, string, WeightFormat, ComputeMode> Cases
    {
        get
        {
            TheoryData<string, string, WeightFormat, ComputeMode> data = [];
            // Kernels that are not a device's own are held to this by the conformance tests.
            foreach (string device in TestDevices.ForModels.Where(id => !id.EndsWith(" tile", StringComparison.Ordinal)))
            {
                data.Add(device, "a_f32_sliding", WeightFormat.Fp32, ComputeMode.Auto);
                data.Add(device, "b_bf16_sharded", WeightFormat.Int8, ComputeMode.Auto);
                data.Add(device, "b_bf16_sharded", WeightFormat.Int8, ComputeMode.Int8);
                data.Add(device, "c_bf16_outliers", WeightFormat.Fp16, ComputeMode.Auto);
                if (device == "cpu" || (TestDevices.Get(device).HalvesOperands && !device.EndsWith("-nv", StringComparison.Ordinal)))
                    data.Add(device, "c_bf16_outliers", WeightFormat.Int4, ComputeMode.Fp16x);
                data.Add(device, "e_bf16_batch", WeightFormat.Int4, ComputeMode.Auto);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Scores_do_not_depend_on_the_batch(string device, string name, WeightFormat format, ComputeMode compute) =>
        // Kernels that a device would not choose itself are slow on a software driver, and so is DirectML there: 25 samples took minutes. Of
        // sums in fp16, which are emulated there, 8 took three.
        Compare(device, Goldens.Read(name), vocabulary: 300, format, compute, samples: compute == ComputeMode.Fp16x && device != "cpu" ? 2
            : IsSlow(device) || device.Contains(' ', StringComparison.Ordinal) ? 8 : 25);

    /// <summary>Whether a device's batches take tens of times as long as another's.</summary>
    internal static bool IsSlow(string device) => device.StartsWith("directml", StringComparison.Ordinal);

    /// <summary>Compares the scores of texts in random batches with those of the texts alone, bit by bit.</summary>
    internal static void Compare(string device, GoldenCase golden, int vocabulary, WeightFormat format, ComputeMode compute, int samples)
    {
        using var model = new Loaded(device, golden, format, compute: compute);
        Dictionary<string, uint[]> alone = [];
        // Texts made of a few beginnings, so that shared prefixes of all lengths, equal texts and texts within texts occur.
        Gen<int[]> text =
            from beginning in Gen.Int[0, 3]
            from kept in Gen.Int[0, 40]
            from own in Gen.Int[0, vocabulary].Array[0, 30]
            select (int[])[.. Enumerable.Range(0, kept).Select(i => 2 + (((i * 7) + (beginning * 31)) % 200)), .. model.Head.GatePattern, .. own, 5];
        Gen<(int[][] Texts, int BatchTokens, bool Share)> batch = Gen.Select(text.Array[1, 8], Gen.Int[1, 200], Gen.Bool);
        batch.Sample(
            x =>
            {
                PackedText[] texts = [.. x.Texts.Select(Text)];
                foreach (MicroBatch packed in Packer.Pack(texts, x.BatchTokens, x.Share))
                {
                    Reward[] rewards = model.Engine.Score(packed);
                    for (int i = 0; i < rewards.Length; i++)
                    {
                        PackedText text = texts[packed.Texts[i]];
                        string key = string.Join(',', text.Ids);
                        if (!alone.TryGetValue(key, out uint[]? want))
                            alone.Add(key, want = Bits(model.Engine.Score(Packer.Pack([text], 4096).Single())[0]));
                        Assert.Equal(want, Bits(rewards[i]));
                    }
                }
            },
            iter: samples, threads: 1, seed: "0000KOIKg5O3");

        // Steps end in the middle, which may be in a shared prefix, and at the end.
        PackedText Text(int[] ids) => model.Text(
            ids, model.Head.StepMarks == StepMarks.None ? null : [.. ((int[])[(ids.Length - 1) / 2, ids.Length - 1]).Distinct()]);
    }

    internal static uint[] Bits(Reward reward) =>
        [.. new[] { reward.Score }.Concat(reward.Distribution).Concat(reward.Weights).Concat(reward.Rewards).Concat(reward.AttributeScores).Concat(reward.AdjustedScores)
            .Concat(reward.Quantiles).Concat(reward.Steps).Select(BitConverter.SingleToUInt32Bits)];
}
