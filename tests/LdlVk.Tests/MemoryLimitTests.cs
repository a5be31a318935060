using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>A model scored within a memory limit: the devices never take more, the plan foresaw what they take, and the scores are the same.</summary>
[Trait("Duration", "Long")]
[Trait("Wine", "DirectML")]
public sealed class MemoryLimitTests
{
    private static readonly SyntheticShape Shape = new(Hidden: 128, Layers: 12, Heads: 2, KeyValueHeads: 1, HeadDimension: 64, FeedForward: 512, Vocabulary: 512, HeadHidden: 64);

    public static TheoryData<string, int> Limits
    {
        get
        {
            TheoryData<string, int> data = [];
            foreach (string device in TestDevices.ForModels.Where(id => !id.Contains(' ')))
            {
                data.Add(device, 3);
                data.Add($"{device},{device}", 2);
            }

            return data;
        }
    }

    /// <summary>Room for some layers of twelve on each device.</summary>
    [Theory]
    [MemberData(nameof(Limits))]
    public async Task The_limit_holds_and_the_plan_is_right(string device, int layers)
    {
        string folder = Directory.CreateTempSubdirectory("ldlvk-limit-").FullName;
        try
        {
            SyntheticCheckpoint.Write(folder, Shape);
            var options = new RewardModelOptions { Device = device, Weights = WeightFormat.Int8, BatchTokens = 128 };
            TokenizedText[] texts = [.. Enumerable.Range(0, 12).Select(i => new TokenizedText([.. Enumerable.Range(0, 5 + (i * 7 % 40)).Select(k => 2 + ((k * (i + 3)) % 500))]))];
            float[] want = await Score(folder, options, []);

            ModelMemory memory = Memory(folder, ComputeDevices.Candidates(device.Split(',')[0])[0]);
            long limit = (layers * memory.LayerBytes) + memory.TableBytes + memory.HeadBytes + memory.ActivationBytes(128, 512);
            List<IDevice> devices = [];
            float[] got = await Score(folder, options with { Memory = [limit] }, devices, plan =>
            {
                Assert.True(plan.Streams);
                Assert.All(plan.Stages, stage => Assert.InRange(stage.Bytes, 1, limit));
            });
            Assert.Equal(want, got);
            Assert.NotEmpty(devices);
            Assert.All(devices, d => Assert.InRange(d.PeakBytes, limit / 4, limit));

            async Task<float[]> Score(string folder, RewardModelOptions options, List<IDevice> opened, Action<ExecutionPlan>? look = null)
            {
                List<string> warnings = [];
                using RewardModel model = RewardModel.Load(folder, stage =>
                {
                    IDevice device = ComputeDevices.Open(stage.Device, options.Memory.Count > 0 ? stage.Budget : null);
                    opened.Add(device);
                    return device;
                }, options);
                model.Warning += w => warnings.Add(w.ToString());
                look?.Invoke(model.Plan);
                List<float> scores = [];
                await foreach (ScoreResult result in model.ScoreManyAsync(texts)) scores.Add(result.Value.Score);
                // Nothing had to be scored in smaller pieces.
                Assert.True(warnings.Count == 0, string.Join("; ", warnings));
                return [.. scores];
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static ModelMemory Memory(string folder, DeviceInfo device)
    {
        using Runtime.Model.Checkpoint checkpoint = Runtime.Model.Checkpoint.Open(folder);
        return ModelMemory.Of(checkpoint.Config, checkpoint.Head, WeightFormat.Int8, WeightFormat.Fp32).On(device, checkpoint.Config, WeightFormat.Int8, ComputeMode.Auto);
    }
}
