using System.Diagnostics;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using Xunit;

namespace LdlVk.Conformance;

/// <summary>Profiles of a small model: every op named, counted and timed.</summary>
public sealed class ProfileTests : ConformanceTest
{
    private static readonly BackboneConfig Config = new()
    {
        Architecture = LdlVk.Runtime.Model.Architecture.Gemma2,
        HiddenSize = 96, Layers = 3, Heads = 4, KeyValueHeads = 2, HeadDimension = 32, IntermediateSize = 160, VocabularySize = 50,
        MaxPositions = 64, RmsNormEpsilon = 1e-6f, RopeTheta = 10000, QueryPreAttentionScalar = 32, AttentionSoftcap = 50, SlidingWindow = 7,
    };

    [Theory]
    [MemberData(nameof(Devices))]
    public void Every_op_is_named_and_timed_within_the_wall(string id)
    {
        ProfiledDevice device = new(Open(id));
        Assert.Null(device.WhyNotTimed);
        using SyntheticModel model = new(device, Config, new LoadSettings(WeightFormat.Fp16));
        MicroBatch batch = Batch(20);
        float[] plain = model.LastHidden(batch), profiled = [];
        long start = Stopwatch.GetTimestamp();
        IReadOnlyList<OpTiming> calls = device.Profile(() => profiled = model.LastHidden(batch));
        double wall = Stopwatch.GetElapsedTime(start).TotalSeconds;

        Assert.Equal(plain, profiled);
        string[] whole = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.down_proj"];
        foreach (string matrix in whole) Assert.Equal(Config.Layers, calls.Count(c => c.Op == "Linear" && c.Operand == matrix));
        Assert.Equal(Config.Layers, calls.Count(c => c.Op == "GatedLinear" && c.Operand == "mlp.gate_proj+mlp.up_proj"));
        Assert.Equal(Config.Layers, calls.Count(c => c.Op == "Attention"));
        // Each sum is followed by the norm of the next half or layer, but for the last.
        Assert.Equal((2 * Config.Layers) - 1, calls.Count(c => c.Op == "AddNorm"));
        Assert.Equal(1, calls.Count(c => c.Op == "NormAdd"));
        Assert.Equal(2 * Config.Layers, calls.Count(c => c.Op == "Rope"));
        // The first norm and the final one, and once more those rows of the last layer that are read.
        Assert.Equal(3, calls.Count(c => c.Op == "RmsNorm"));
        Assert.Equal(1, calls.Count(c => c.Op == "Read"));
        Assert.All(calls.Where(c => c.Op is "Linear" or "GatedLinear" or "Attention"), c => Assert.True(c.Seconds > 0, $"{c.Op} {c.Operand} took no time on {id}"));
        Assert.All(calls, c => Assert.True(c.Seconds >= 0 && c.Bytes >= 0));
        Assert.InRange(calls.Sum(c => c.Seconds), double.Epsilon, wall);
        Assert.Contains(("Linear", "mlp.down_proj", "20 × 96 × 160"), calls.Select(c => (c.Op, c.Operand, c.Shape)));
    }

    /// <summary>The count of the arithmetic against one made by hand: two whole layers, and of the last keys and values alone.</summary>
    [Fact]
    public void Operations_are_those_asked_for()
    {
        ProfiledDevice device = new(Open("cpu"));
        using SyntheticModel model = new(device, Config, new LoadSettings(WeightFormat.Fp32));
        IReadOnlyList<OpTiming> calls = device.Profile(() => model.LastHidden(Batch(20)));
        const int Hidden = 96, Queries = 128, Keys = 64, Ffn = 160;
        double layer = 2.0 * ((2 * Hidden * Queries) + (3 * Hidden * Ffn)), keys = 2.0 * 2 * Hidden * Keys;
        double linear = (2 * 20 * (layer + keys)) + layer + (20 * keys);
        // A window of 7 in layers 0 and 2: 1 + … + 7, and 13 times 7; all in layer 1; the last token alone in layer 2.
        double attention = 4.0 * Queries * ((28 + (13 * 7)) + 210 + 7);
        Assert.Equal(linear, calls.Where(c => c.Op is "Linear" or "GatedLinear").Sum(c => c.Operations));
        Assert.Equal(attention, calls.Where(c => c.Op == "Attention").Sum(c => c.Operations));
        Assert.Equal(0, calls.Where(c => c.Op is not ("Linear" or "GatedLinear" or "Attention")).Sum(c => c.Operations));
    }

    [Fact]
    public void Visible_pairs_are_counted_as_by_hand()
    {
        Random random = new(1);
        for (int i = 0; i < 500; i++)
        {
            AttentionSegment s = new(0, random.Next(1, 30), random.Next(0, 30), 0, 0, 0);
            int window = random.Next(0, 40), pairs = 0;
            for (int q = s.QueryPosition; q < s.KeyCount; q++)
                for (int k = 0; k <= q; k++)
                    if (window == 0 || q - k < window) pairs++;
            Assert.Equal(pairs, ProfiledDevice.VisiblePairs(s, window));
        }
    }

    /// <summary>More commands than a pool of timestamps has, and many submissions.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Long_profiles_keep_every_call(string id)
    {
        ProfiledDevice device = new(Open(id));
        ITensor x = Empty(device, 2, 64), y = Empty(device, 2, 64);
        IReadOnlyList<OpTiming> calls = device.Profile(() =>
        {
            for (int i = 0; i < 2500; i++) device.GateMultiply(y, x, x, GateActivation.Gelu);
        });
        Assert.Equal(2500, calls.Count);
        // A clock may be coarse, but not so coarse that most calls take no time.
        Assert.True(calls.Count(c => c.Seconds > 0) > 1250, $"{calls.Count(c => c.Seconds > 0)} of 2500 calls took time on {id}");
    }

    /// <summary>A failing call ends the profile, and the device goes on.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void An_error_ends_the_profile(string id)
    {
        ProfiledDevice device = new(Open(id));
        ITensor x = Empty(device, 2, 64), narrow = Empty(device, 2, 32);
        Assert.Throws<ArgumentException>(() => device.Profile(() => device.GateMultiply(x, x, narrow, GateActivation.Gelu)));
        Assert.Single(device.Profile(() => device.GateMultiply(x, x, x, GateActivation.Gelu)));
    }

    private static MicroBatch Batch(int tokens) => Packer.Pack([[.. Enumerable.Range(0, tokens).Select(i => (i * 7) % Config.VocabularySize)]], 64).Single();
}
