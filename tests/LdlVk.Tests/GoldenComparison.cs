using LdlVk.Runtime.Batching;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>How a loaded model is compared with a golden case.</summary>
public abstract class GoldenComparison(ITestOutputHelper output) : DeviceTest
{
    /// <summary>The closest mistake of the sensitivity.json files that is not rounding moves scores further than this.</summary>
    private const double Fp32Tolerance = 2e-4;

    protected ITestOutputHelper Output => output;

    /// <summary>Scores and hidden states with fp32 weights against f64.</summary>
    protected void CompareFp32(string device, GoldenCase golden)
    {
        using var model = new Loaded(device, golden, WeightFormat.Fp32);
        double worst = 0;
        foreach (GoldenInput input in golden.Inputs)
        {
            // The whole input as one batch, prefixes shared: the way it is scored in use.
            MicroBatch batch = Packer.Pack([.. input.Rows.Select(model.Text)], 4096).Single();
            (Reward[] rewards, float[] hidden) = model.Engine.ScoreWithHidden(batch);
            for (int i = 0; i < rewards.Length; i++)
            {
                GoldenOutput want = input.Rows[batch.Texts[i]].Reference;
                string where = $"{device} {golden.Name} {input.Name}[{batch.Texts[i]}]";
                float score = LastStep(rewards[i]).Score;
                Near(want.Score, score, Fp32Tolerance, $"{where} score");
                worst = Math.Max(worst, Math.Abs(want.Score - score));
                // Models without such heads have none of these.
                AllNear(want.Objectives ?? [], rewards[i].AttributeScores.AsSpan(), Fp32Tolerance, $"{where} attributes");
                if (rewards[i].AdjustedScores.Length > 0) AllNear(want.Adjusted ?? [], rewards[i].AdjustedScores.AsSpan(), Fp32Tolerance, $"{where} adjusted");
                AllNear(want.Steps ?? [], rewards[i].Steps.AsSpan(), Fp32Tolerance, $"{where} steps");
                AllNear(want.Gating ?? want.Weights ?? [], rewards[i].Weights.AsSpan(), Fp32Tolerance, $"{where} weights");
                AllNear(want.Distribution ?? [], rewards[i].Distribution.AsSpan(), Fp32Tolerance, $"{where} distribution");
                // The sub-distributions are in the files for the modes without rounding alone.
                if (want.Rewards is not null) AllNear([.. want.Rewards.SelectMany(r => r)], rewards[i].Rewards.AsSpan(), Fp32Tolerance, $"{where} rewards");
                Assert.Equal(input.Rows[batch.Texts[i]].Ids.Length, rewards[i].Tokens);
                ReadOnlySpan<float> state = hidden.AsSpan(i * want.Hidden.Length, want.Hidden.Length);
                double error = 0, norm = 0;
                for (int d = 0; d < state.Length; d++)
                {
                    error += Math.Pow(state[d] - want.Hidden[d], 2);
                    norm += want.Hidden[d] * want.Hidden[d];
                }

                Assert.True(Math.Sqrt(error / norm) <= Fp32Tolerance, $"{where} hidden state is off by {Math.Sqrt(error / norm):E2} of its norm");
            }
        }

        Output.WriteLine($"{device} {golden.Name}: largest score error {worst:E1}");
    }

    /// <summary>Mean score error against f64 over the mean error of the reference's own bf16 run against its fp32 run.</summary>
    protected double ErrorRatio(
        string device, GoldenCase golden, WeightFormat weights, WeightFormat heads, ComputeMode compute = ComputeMode.Auto)
    {
        using var model = new Loaded(device, golden, weights, heads, compute);
        double ours = 0, bf16 = 0, worst = 0;
        int texts = 0;
        foreach (GoldenRow row in golden.Inputs.SelectMany(i => i.Rows))
        {
            float score = LastStep(model.Engine.Score(Packer.Pack([model.Text(row)], 4096).Single())[0]).Score;
            Assert.True(float.IsFinite(score), $"{device} {golden.Name}: score {score}");
            double error = Math.Abs(score - row.Reference.Score);
            (ours, worst, texts) = (ours + error, Math.Max(worst, error), texts + 1);
            bf16 += Math.Abs(row.Modes["bf16"].Score - row.Modes["f32"].Score);
        }

        Output.WriteLine($"{device} {golden.Name} weights {weights} heads {heads} compute {compute}: mean {ours / texts:E2}, max {worst:E2}, {ours / bf16:F3} of bf16");
        return ours / bf16;
    }

    /// <summary>Devices that may sum in fp16; flexible matrices do not, and leave it to the device's others.</summary>
    public static TheoryData<string> SummingDevices =>
        [.. TestDevices.ForModels.Where(id => id == "cpu" || (TestDevices.Get(id).HalvesOperands && !id.EndsWith("-nv", StringComparison.Ordinal)))];

    /// <summary>
    /// Sums in fp16 cost as much as fp16 weights may, where units round once an instruction, as the CPU device does. An emulation that rounds
    /// after each product costs more: there a score must be as near as the rounding to bf16 that models are trained with.
    /// </summary>
    protected void CompareHalfSums(string device, IReadOnlyCollection<string> names, Func<string, GoldenCase> read)
    {
        DeviceInfo info = TestDevices.Shared(device).Info;
        Assert.SkipUnless(info.SumsHalves, "the matrix units have no sums in fp16");
        bool emulates = info.Kind == DeviceKind.Software;
        // An emulation is slow, and its kernels are held to the formula by the conformance tests.
        if (emulates) names = [.. names.Where((_, i) => i % 6 == 0)];
        double product = 1;
        foreach (string name in names)
        {
            double ratio = ErrorRatio(device, read(name), WeightFormat.Fp16, WeightFormat.Fp32, ComputeMode.Fp16x);
            Assert.True(ratio <= (emulates ? 1 : 0.3), $"{device} {name}: with fp16 sums the mean score error is {ratio:F3} of bf16's");
            product *= Math.Max(ratio, 1e-6);
        }

        Output.WriteLine($"{device}: geometric mean {Math.Pow(product, 1.0 / names.Count):F3}");
    }

    /// <summary>The goldens give the last step's score.</summary>
    private static Reward LastStep(Reward reward) => reward.Steps.Length == 0 ? reward : reward.Aggregated(StepAggregation.Last);

    private static void AllNear(ReadOnlySpan<double> want, ReadOnlySpan<float> got, double tolerance, string what)
    {
        Assert.Equal(want.Length, got.Length);
        for (int i = 0; i < want.Length; i++) Near(want[i], got[i], tolerance, $"{what}[{i}]");
    }

    private static void Near(double want, float got, double tolerance, string what) =>
        Assert.True(Math.Abs(want - got) <= tolerance, $"{what}: {got} instead of {want}, off by {Math.Abs(want - got):E2}");
}
