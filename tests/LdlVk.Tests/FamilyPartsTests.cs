using System.Text.Json.Nodes;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Conversion;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>
/// Each family divided over two devices, with streamed layers, and converted: the bits of the model in one piece, with the biases, norms of
/// heads and rotary embeddings that only some families have.
/// </summary>
[Trait("Duration", "Long")]
public sealed class FamilyPartsTests : DeviceTest
{
    /// <summary>A case of each backbone, and one with an adapter.</summary>
    private static readonly string[] Backbones =
    [
        "gemma1_linear", "gemma3_text_linear", "internlm2_reward", "llama_linear", "lora_qwen3", "mistral_linear", "olmo2_linear", "phi3_linear", "phi4_linear",
        "qwen2_linear", "qwen3_linear",
    ];

    public static TheoryData<string, string> PlainDevicesAndFamilies
    {
        get
        {
            TheoryData<string, string> data = [];
            foreach (string device in TestDevices.ForModels.Where(id => !id.Contains(' ')))
                foreach (string name in Backbones) data.Add(device, name);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(PlainDevicesAndFamilies))]
    public void Parts_and_conversions_give_the_same_bits(string id, string name)
    {
        GoldenCase golden = FamilyGoldens.Read(name);
        AssertSameBits(id, golden.Folder, golden.Adapter, [.. golden.Inputs.SelectMany(input => input.Rows).Select(row => row.Ids)]);
    }

    /// <summary>Biases of all seven matrices, which no golden has, and an activation that is not the family's.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Biases_of_the_feed_forward_network_are_in_every_part(string id)
    {
        JsonObject config = FamilyVariantTests.Config("llama", "{'attention_bias':true,'mlp_bias':true,'hidden_act':'gelu_new'}");
        List<OtherHead.Tensor> tensors = MadeFamily.Backbone(config, 12, 2, "qkvogud");
        OtherHead.Tensor head = MadeFamily.Head("score.weight", 1, 40);
        using TempFolder folder = new();
        MadeFamily.Write(folder["made"], config, [.. tensors, head]);
        int[][] texts = [.. Enumerable.Range(0, 5).Select(t => Enumerable.Range(0, 7 * (t + 1)).Select(i => 8 + (((i * i) + (3 * t)) % 80)).ToArray())];
        AssertSameBits(id, folder["made"], null, texts);
        double[] want = [.. texts.Select(ids => new Forward64(config, tensors).Hidden(ids)[^1].Zip(head.Values, (h, w) => h * w).Sum())];
        foreach ((WeightFormat format, ComputeMode compute, double tolerance) in ((WeightFormat, ComputeMode, double)[])
            [(WeightFormat.Fp32, ComputeMode.Auto, 2e-4), (WeightFormat.Fp16, ComputeMode.Auto, 0.02), (WeightFormat.Int8, ComputeMode.Auto, 0.15), (WeightFormat.Int8, ComputeMode.Int8, 0.15)])
        {
            using Loaded model = new(id, folder["made"], format, compute: compute);
            Reward[] got = model.Engine.Score(Packer.Pack([.. texts.Select(ids => model.Text(ids))], 4096).Single());
            double error = want.Zip(got, (w, g) => Math.Abs(w - g.Score)).Max();
            Assert.True(error < tolerance, $"{format} {compute}: {error:G2}");
        }
    }

    private static void AssertSameBits(string id, string folderOfModel, string? adapter, int[][] texts)
    {
        using IDevice first = TestDevices.Get(id).Open(), second = TestDevices.Get(id).Open();
        foreach ((WeightFormat format, ComputeMode compute) in ((WeightFormat, ComputeMode)[])[(WeightFormat.Fp16, ComputeMode.Auto), (WeightFormat.Int8, ComputeMode.Int8)])
        {
            var settings = new LoadSettings(format, WeightFormat.Fp32, Compute: compute);
            uint[] want;
            using (Checkpoint checkpoint = Checkpoint.Open(folderOfModel, adapter))
            {
                int count = checkpoint.Config.Layers;
                want = Bits(checkpoint, [new PlacedStage(first, new StageLayers(0, count))]);
                Assert.Equal(want, Bits(checkpoint, [new PlacedStage(first, new StageLayers(0, 1)), new PlacedStage(second, new StageLayers(1, count - 1))]));
                Assert.Equal(want, Bits(checkpoint, [new PlacedStage(first, new StageLayers(0, count, Streamed: count, Slots: 1))]));
            }

            using TempFolder folder = new();
            using Checkpoint converted = Checkpoint.Open(Converter.Run(folderOfModel, folder["model"], format, adapter: adapter).Folder);
            Assert.Equal(want, Bits(converted, [new PlacedStage(first, new StageLayers(0, converted.Config.Layers))]));

            uint[] Bits(Checkpoint checkpoint, PlacedStage[] stages)
            {
                using ScoringEngine engine = ScoringEngine.Load(stages, checkpoint, settings);
                float[] scores = new float[texts.Length];
                foreach (Wave wave in Packer.PackWaves(texts, 40, 200))
                {
                    Reward[] rewards = engine.Score(wave);
                    foreach ((int text, Reward reward) in wave.Texts.Zip(rewards)) scores[text] = reward.Score;
                }

                return [.. scores.Select(BitConverter.SingleToUInt32Bits)];
            }
        }

        Assert.Equal(0, first.AllocatedBytes + second.AllocatedBytes);
    }
}
