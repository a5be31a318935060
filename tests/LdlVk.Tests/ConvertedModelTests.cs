using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Conversion;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>Converted folders score to the bit as their originals do in the same format, on every device.</summary>
[Trait("Duration", "Long")]
public sealed class ConvertedModelTests : DeviceTest, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("ldlvk-converted").FullName;

    public static TheoryData<string, WeightFormat> DevicesAndFormats
    {
        get
        {
            TheoryData<string, WeightFormat> data = [];
            // What is read is the same for all kernels of a device.
            foreach (string device in TestDevices.ForModels.Where(id => !id.Contains(' ')))
                foreach (WeightFormat format in new[] { WeightFormat.Fp16, WeightFormat.Int8, WeightFormat.Int4 }) data.Add(device, format);
            return data;
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(DevicesAndFormats))]
    public void Goldens_score_the_same(string device, WeightFormat format)
    {
        // Software drivers take their time: one of several bf16 files, and one in fp32.
        foreach (GoldenCase golden in Goldens.Cases.Where(name => device == "cpu" || name is "b_bf16_sharded" or "a_f32_sliding").Select(Goldens.Read))
        {
            // Bf16 checkpoints have their embeddings scaled by a rounded factor: what the source was must not get lost.
            string converted = Converter.Run(golden.Folder, Path.Combine(_folder, golden.Name), format).Folder;
            int[][] texts = [.. golden.Inputs.SelectMany(input => input.Rows).Select(row => row.Ids)];
            Assert.Equal(Bits(device, golden.Folder, format, texts), Bits(device, converted, format, texts));
        }
    }

    [Theory]
    [MemberData(nameof(DevicesAndFormats))]
    public void The_embedded_model_scores_the_same(string device, WeightFormat format)
    {
        string original = Repository.Path("models", "ldl-mini"), converted = Converter.Run(original, Path.Combine(_folder, "mini"), format).Folder;
        Conversation[] texts = [new("Define \"sea\".", "A large body of salt water."), new("Define \"sea\".", "I cannot help."), new("Why?", "Because. 海 🌊")];
        RewardModelOptions options = new() { Device = device, Tune = false };
        // What the folder is in is what it is loaded in, unless told otherwise.
        using RewardModel want = RewardModel.Load(original, options with { Weights = format }), got = RewardModel.Load(converted, options);
        Assert.Equal(format, got.Weights);
        Assert.Equal(want.AttributeNames, got.AttributeNames);
        Assert.Equal(want.Note, got.Note);
        foreach (Conversation text in texts) Assert.Equal(Bits(want.Score(text)), Bits(got.Score(text)));
    }

    [Fact]
    public void Another_format_is_refused_before_anything_is_loaded()
    {
        string converted = Converter.Run(Repository.Path("models", "ldl-mini"), Path.Combine(_folder, "mini"), WeightFormat.Fp16).Folder;
        string message = Assert.Throws<UsageException>(() => RewardModel.Load(converted, new RewardModelOptions { Device = "cpu", Weights = WeightFormat.Int8 })).Message;
        Assert.Contains("converted to fp16", message);
        // Bytes cannot be multiplied where there are none.
        Assert.Contains("int8", Assert.Throws<UsageException>(() => RewardModel.Load(converted, new RewardModelOptions { Device = "cpu", Compute = ComputeMode.Int8 })).Message);
    }

    private static int[] Bits(string device, string folder, WeightFormat format, int[][] texts)
    {
        using Loaded model = new(device, folder, format);
        return [.. Packer.Pack(texts, 4096).SelectMany(batch => model.Engine.Score(batch)).SelectMany(Bits)];
    }

    private static int[] Bits(Reward reward) =>
        [.. new[] { reward.Score }.Concat(reward.Weights.ToArray()).Concat(reward.Distribution.ToArray()).Concat(reward.Rewards.ToArray()).Select(BitConverter.SingleToInt32Bits)];
}
