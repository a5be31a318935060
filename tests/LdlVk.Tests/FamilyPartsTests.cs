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
        "gemma1_linear", "gemma3_text_linear", "internlm2_reward", "llama_linear", "lora_qwen3", "mistral_linear", "qwen2_linear",
        "qwen3_linear",
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
        using IDevice first = TestDevices.Get(id).Open(), second = TestDevices.Get(id).Open();
        GoldenCase golden = FamilyGoldens.Read(name);
        int[][] texts = [.. golden.Inputs.SelectMany(input => input.Rows).Select(row => row.Ids)];
        foreach ((WeightFormat format, ComputeMode compute) in ((WeightFormat, ComputeMode)[])[(WeightFormat.Fp16, ComputeMode.Auto), (WeightFormat.Int8, ComputeMode.Int8)])
        {
            var settings = new LoadSettings(format, WeightFormat.Fp32, Compute: compute);
            uint[] want;
            using (Checkpoint checkpoint = Checkpoint.Open(golden.Folder, golden.Adapter))
            {
                int count = checkpoint.Config.Layers;
                want = Bits(checkpoint, [new PlacedStage(first, new StageLayers(0, count))]);
                Assert.Equal(want, Bits(checkpoint, [new PlacedStage(first, new StageLayers(0, 1)), new PlacedStage(second, new StageLayers(1, count - 1))]));
                Assert.Equal(want, Bits(checkpoint, [new PlacedStage(first, new StageLayers(0, count, Streamed: count, Slots: 1))]));
            }

            using TempFolder folder = new();
            using Checkpoint converted = Checkpoint.Open(Converter.Run(golden.Folder, folder["model"], format, adapter: golden.Adapter).Folder);
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
