using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Conformance;

/// <summary>Values and invariance of Attention.</summary>
public sealed class AttentionTests : ConformanceTest
{
    /// <summary>Heads, KV heads, head dimension, window, prefix and lengths of texts; lengths around the tiles of 32 and 64.</summary>
    public static TheoryData<string, int, int, int, int, int, int[]> Cases
    {
        get
        {
            TheoryData<string, int, int, int, int, int, int[]> data = [];
            foreach (string id in TestDevices.Ids)
            {
                data.Add(id, 1, 1, 8, 0, 0, [1]);
                data.Add(id, 1, 1, 2, 0, 0, [5, 70]);
                data.Add(id, 4, 2, 16, 0, 0, [1, 2, 31, 32, 33]);
                data.Add(id, 2, 1, 32, 9, 0, [63, 64, 65, 10]);
                data.Add(id, 2, 2, 128, 0, 37, [60, 38, 130]);
                data.Add(id, 4, 2, 24, 70, 64, [200, 64, 65]);
                data.Add(id, 6, 2, 40, 1, 5, [9, 70]);
                data.Add(id, 3, 1, 72, 64, 100, [129, 128, 101, 30]);
                data.Add(id, 8, 1, 256, 0, 3, [20, 4]);
                data.Add(id, 1, 1, 16, 200, 130, [520, 131]);
            }
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Matches_the_reference(string id, int heads, int kvHeads, int dimension, int window, int prefix, int[] lengths)
    {
        foreach (float softcap in new[] { 0f, 50f })
        {
            AttentionShape shape = Shape(id, heads, kvHeads, dimension, 1 / MathF.Sqrt(dimension), softcap, window);
            AttentionCase texts = new(lengths.Sum(), shape, prefix, 2, lengths);
            Compare(id, texts.Layout(share: true, Whole(lengths)), shape);
            // Only the last queries, as in the last layer.
            Compare(id, texts.Layout(share: true, [.. lengths.Select((length, t) => (t, length - 1, 1))]), shape);
        }
    }

    /// <summary>Each text in a batch with shared prefixes has the bits that it has alone, with all its keys in one place.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void Texts_do_not_depend_on_the_batch(string id, int heads, int kvHeads, int dimension, int window, int prefix, int[] lengths)
    {
        IDevice device = Open(id);
        AttentionShape shape = Shape(id, heads, kvHeads, dimension, 0.11f, 30, window);
        AttentionCase texts = new(lengths.Sum() + 1, shape, prefix, 3, lengths);
        string what = $"Attention on {id}, {shape}, texts of {string.Join(",", lengths)}, prefix {prefix}";

        AttentionLayout shared = texts.Layout(share: true, Whole(lengths));
        Matrix sharedOutput = Run(device, shared, shape);
        AttentionLayout reversed = texts.Layout(share: false, [.. Enumerable.Reverse(Whole(lengths))]);
        Matrix reversedOutput = Run(device, reversed, shape);
        for (int t = 0; t < lengths.Length; t++)
        {
            AttentionLayout alone = texts.Layout(share: false, [(t, 0, lengths[t])]);
            Matrix wanted = alone.OutputOf(0, Run(device, alone, shape));
            Check.SameBits($"{what}: text {t} with shared prefix", shared.OutputOf(t, sharedOutput), wanted);
            Check.SameBits($"{what}: text {t} in the reverse batch", reversed.OutputOf(lengths.Length - 1 - t, reversedOutput), wanted);
        }
    }

    /// <summary>Queries of a text in several segments, and in several calls, have the bits that they have together.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Queries_do_not_depend_on_their_segment(string id)
    {
        const int Length = 150;
        IDevice device = Open(id);
        foreach ((int heads, int kvHeads, int window) in new[] { (4, 2, 0), (4, 2, 40), (1, 1, 0), (3, 1, 70) })
        {
            AttentionShape shape = Shape(id, heads, kvHeads, 32, 0.2f, 50, window);
            AttentionCase texts = new(window, shape, 20, 2, Length);
            AttentionLayout whole = texts.Layout(share: false, [(0, 0, Length)]);
            Matrix wanted = whole.OutputOf(0, Run(device, whole, shape));

            AttentionLayout parts = texts.Layout(share: true, [(0, 0, 1), (0, 1, 62), (0, 63, 2), (0, 65, 70), (0, 135, 15)]);
            Matrix output = Run(device, parts, shape);
            for (int i = 0; i < parts.Segments.Count; i++)
            {
                AttentionSegment s = parts.Segments[i];
                Check.SameBits($"Attention on {id}, {shape}: {s} of {Length}", parts.OutputOf(i, output), wanted.Pick([.. Enumerable.Range(s.QueryPosition, s.QueryCount)]));
            }
        }
    }

    /// <summary>Random batches of texts, prefixes, windows, and query ranges.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Matches_the_reference_for_random_batches(string id)
    {
        for (int seed = 0; seed < 25; seed++)
        {
            Random random = new(seed);
            int kvHeads = random.Next(1, 4), prefix = random.Next(3) == 0 ? 0 : random.Next(1, 90);
            AttentionShape shape = Shape(
                id, kvHeads * random.Next(1, 4), kvHeads, 2 * random.Next(1, 40), 0.3f, random.Next(2) * 20f, random.Next(2) == 0 ? 0 : random.Next(1, 100));
            int[] lengths = [.. Enumerable.Range(0, random.Next(1, 6)).Select(_ => random.Next(1, 120))];
            AttentionCase texts = new(seed, shape, prefix, 1.5, lengths);
            List<(int, int, int)> parts = [];
            for (int t = 0; t < lengths.Length; t++)
            {
                int first = random.Next(lengths[t]);
                parts.Add((t, first, random.Next(1, lengths[t] - first + 1)));
            }
            Compare(id, texts.Layout(random.Next(2) == 0, parts), shape, $"seed {seed}");
        }
    }

    /// <summary>Scores of ±10⁴ and more: tanh saturates instead of overflowing, and without a softcap exp does not overflow either.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Extreme_scores(string id)
    {
        foreach (float softcap in new[] { 50f, 0f })
            foreach (float factor in new[] { 1e2f, 1e4f, 1e6f })
            {
                AttentionShape shape = Shape(id, 2, 1, 16, 1, softcap, 0);
                AttentionCase texts = new(4, shape, 0, 1, 70);
                foreach (ref float q in texts.Queries(0).Data.AsSpan()) q *= factor;
                Compare(id, texts.Layout(share: false, [(0, 0, 70)]), shape, $"queries times {factor}", finite: true, bounded: softcap > 0 || factor < 1e3);
            }
    }

    /// <summary>Keys that a query does not see, its successors in the same text, leave no trace.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Later_keys_leave_no_trace(string id)
    {
        IDevice device = Open(id);
        AttentionShape shape = Shape(id, 2, 1, 32, 0.2f, 50, 0);
        AttentionLayout layout = new AttentionCase(6, shape, 0, 1, 100).Layout(share: false, [(0, 0, 100)]);
        Matrix before = layout.OutputOf(0, Run(device, layout, shape));
        int seen = 50, from = layout.Segments[0].OwnRow + seen;
        for (int row = from; row < layout.Segments[0].OwnRow + 100; row++)
        {
            layout.Keys.Row(row).Fill(1e6f);
            layout.Values.Row(row).Fill(-1e30f);
        }
        int[] unchanged = [.. Enumerable.Range(0, seen)];
        Check.SameBits($"Attention on {id}, enormous later keys", layout.OutputOf(0, Run(device, layout, shape)).Pick(unchanged), before.Pick(unchanged));
    }

    /// <summary>A text long enough to have many tiles, under a window that begins inside one.</summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Long_text(string id)
    {
        const int Length = 2050;
        foreach (int window in new[] { 0, 1000 })
        {
            AttentionShape shape = Shape(id, 2, 1, 16, 0.25f, 50, window);
            AttentionCase texts = new(7, shape, 1500, 2, Length);
            Compare(id, texts.Layout(share: true, [(0, 0, 40), (0, 990, 30), (0, 1490, 20), (0, Length - 50, 50)]), shape);
        }
    }

    /// <summary>A layer whose operands are halved on the devices that do so.</summary>
    private static AttentionShape Shape(string id, int heads, int kvHeads, int dimension, float scale, float softcap, int window) =>
        new(heads, kvHeads, dimension, scale, softcap, window, TestDevices.Get(id).HalvesOperands);

    private static List<(int Text, int First, int Count)> Whole(int[] lengths) => [.. lengths.Select((length, t) => (t, 0, length))];

    private void Compare(string id, AttentionLayout layout, AttentionShape shape, string detail = "", bool finite = false, bool bounded = true)
    {
        Matrix got = Run(Open(id), layout, shape);
        (double[] values, double[] bounds) = Reference64.Attention(layout.Queries, layout.Keys, layout.Values, layout.Segments, shape, shape.HalvesOperands ? TestDevices.Get(id).OperandRounding(WeightFormat.Fp16) : 0);
        for (int s = 0; s < layout.Segments.Count; s++)
        {
            AttentionSegment segment = layout.Segments[s];
            Range range = (segment.QueryRow * got.Columns)..((segment.QueryRow + segment.QueryCount) * got.Columns);
            string what = $"Attention on {id}, {shape}, {segment} {detail}";
            if (finite) Assert.All(got.Data[range], v => Assert.True(float.IsFinite(v), $"{what}: {v}"));
            if (bounded) Check.Close(what, layout.OutputOf(s, got), values[range], bounds[range]);
        }
    }

    private Matrix Run(IDevice device, AttentionLayout layout, AttentionShape shape)
    {
        using ITensor queries = Held(layout.Queries), keys = Held(layout.Keys), values = Held(layout.Values);
        using ITensor output = device.CreateTensor(layout.Queries.Rows, layout.Queries.Columns);
        using ISegmentList segments = device.CreateSegments([.. layout.Segments]);
        device.Attention(output, queries, keys, values, segments, shape);
        return Read(device, output);

        ITensor Held(Matrix matrix)
        {
            ITensor tensor = device.CreateTensor(matrix.Rows, matrix.Columns);
            device.Write(tensor, 0, matrix.Data);
            return tensor;
        }
    }
}
