using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>Every named intermediate of a forward pass against the reference's.</summary>
public sealed class TraceTests : DeviceTest
{
    private const string Case = "a_f32_sliding";

    /// <summary>Families whose layers differ from Gemma-2's.</summary>
    private static readonly string[] Families = ["qwen2_linear", "qwen3_linear", "gemma3_text_linear"];

    public static TheoryData<string, string> DevicesAndFamilies
    {
        get
        {
            TheoryData<string, string> data = [];
            foreach (string device in TestDevices.ForModels)
                foreach (string name in Families) data.Add(device, name);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Every_intermediate_matches_by_name(string device) => Compare(device, Goldens.Read(Case), Goldens.ReadTrace(Case));

    [Theory]
    [MemberData(nameof(DevicesAndFamilies))]
    public void Every_intermediate_of_a_family_matches_by_name(string device, string name)
    {
        GoldenCase golden = FamilyGoldens.Read(name);
        Compare(device, golden, Goldens.ReadTraceIn(golden.Folder));
    }

    private static void Compare(string device, GoldenCase golden, IReadOnlyDictionary<string, IReadOnlyDictionary<string, TraceTensor>> trace)
    {
        using var model = new Loaded(device, golden, WeightFormat.Fp32, scale: EmbeddingScale.Exact);
        foreach ((string input, IReadOnlyDictionary<string, TraceTensor> tensors) in trace)
        {
            GoldenRow row = golden.Inputs.Single(i => i.Name == input).Rows.Single();
            var recorder = new Recorder();
            MicroBatch batch = Packer.Pack([row.Ids], 4096).Single();
            Reward traced = model.Engine.Score(batch, recorder)[0];
            foreach ((string name, TraceTensor want) in tensors)
            {
                // Two names of the reference's for what o_proj and down_proj give.
                string ours = name.EndsWith(".self_attn", StringComparison.Ordinal) ? name + ".o_proj" : name.EndsWith(".mlp", StringComparison.Ordinal) ? name + ".down_proj" : name;
                Assert.True(recorder.Values.TryGetValue(ours, out float[]? got), $"{name} is not recorded");
                Assert.Equal(want.Values.Length, got!.Length);
                double error = 0, norm = 0;
                for (int i = 0; i < got.Length; i++)
                {
                    error += Math.Pow(got[i] - want.Values[i], 2);
                    norm += want.Values[i] * want.Values[i];
                }

                Assert.True(Math.Sqrt(error) <= 2e-4 * Math.Sqrt(norm), $"{device} {golden.Name} {input}: {name} is off by {Math.Sqrt(error / norm):E2} of its norm");
            }

            // Tracing computes more rows of the last layer; the result must have the same bits.
            Assert.Equal(model.Engine.Score(batch)[0].Score, traced.Score);
        }
    }

    private sealed class Recorder : ITrace
    {
        public Dictionary<string, float[]> Values { get; } = [];

        public void Record(string name, IDevice device, ITensor tensor)
        {
            float[] values = new float[tensor.Rows * tensor.Columns];
            device.Read(tensor, values);
            Values.Add(name, values);
        }
    }
}
