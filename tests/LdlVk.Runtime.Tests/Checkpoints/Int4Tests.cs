using CsCheck;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using Xunit;
using static LdlVk.Runtime.Tests.Checkpoints.TestMatrix;

namespace LdlVk.Runtime.Tests.Checkpoints;

/// <summary>4-bit weights against searches in double that try everything.</summary>
public sealed class Int4Tests
{
    /// <summary>The values of the codes −8 … 7, from the table in <see cref="WeightLayout"/>.</summary>
    private static readonly double[] Values = [-128, -105, -84, -65, -48, -33, -20, -9, 0, 9, 20, 33, 48, 65, 84, 105];

    /// <summary>Sixteen bytes read by hand: element i of a word is the nibble at bit 4·(i / 2) + 16·(i % 2).</summary>
    [Fact]
    public void The_layout_is_the_documented_one()
    {
        // Each code twice, shuffled so that neighbors differ, times a scale that is a half; −128 is there, so the scale is found again.
        int[] codes = [.. Enumerable.Range(0, 32).Select(i => (i * 11 % 16) - 8)];
        TestMatrix matrix = new(1, 32, [.. codes.Select(q => 2f * (float)Values[q + 8])]);
        (byte[] values, Half[] scales) = ReadAll(WeightSource.Create(matrix, WeightFormat.Int4));
        Assert.Equal((16, 1), (values.Length, scales.Length));
        for (int i = 0; i < 32; i++)
        {
            uint word = BitConverter.ToUInt32(values, i / 8 * 4);
            Assert.Equal(codes[i] + 8, (int)((word >> ((4 * (i % 8 / 2)) + (16 * (i % 2)))) & 15));
        }
        // The largest, 256, is stored as 2¹⁴.
        Assert.Equal((Half)(2f * 16384 / 256), scales[0]);
        // Turned round, the extreme is positive: the codes stay and the scale is negative.
        (byte[] negated, Half[] negative) = ReadAll(WeightSource.Create(matrix with { Values = [.. matrix.Values.Select(w => -w)] }, WeightFormat.Int4));
        Assert.Equal(values, negated);
        Assert.Equal(-scales[0], negative[0]);
    }

    [Fact]
    public void Each_element_has_the_nearest_code_for_its_scale() => TestMatrix.Random(-80, 80).Sample(matrix =>
    {
        WeightSource source = WeightSource.Create(matrix, WeightFormat.Int4);
        (_, Half[] scales) = ReadAll(source);
        float[] stored = Dequantized(source);
        int groups = WeightLayout.ScalesPerRow(WeightFormat.Int4, matrix.Columns);
        for (int i = 0; i < stored.Length; i++)
        {
            double scale = (double)source.Scale * (double)scales[(i / matrix.Columns * groups) + (i % matrix.Columns / 32)], w = matrix.Values[i];
            double error = Math.Abs(w - stored[i]), least = Values.Min(v => Math.Abs(w - (v * scale)));
            // A tie may be decided by single precision: √(15.75 + |w|) − 4 is below 9.
            Assert.True(error <= least + (Math.Abs(scale) * 256 * Math.Pow(2, -20)), $"{w} became {stored[i]}, scale {scale}, least error {least}");
        }
    });

    /// <summary>
    /// Over many groups, each counted relative to its own norm, against the best that any scale of either sign gives. In groups of a few
    /// large elements the best scale is a stroke of luck that eight tries may miss.
    /// </summary>
    [Theory]
    [InlineData(false, 1.006)]
    [InlineData(true, 1.03)]
    public void The_scales_are_nearly_as_good_as_the_best_of_all(bool outliers, double bar)
    {
        TestMatrix matrix = outliers ? TestMatrix.Random(12, 640, 1, 1) : Gaussian(12, 640, 1);
        float[] stored = Dequantized(WeightSource.Create(matrix, WeightFormat.Int4));
        double found = 0, best = 0;
        for (int at = 0; at < stored.Length; at += 32)
        {
            double[] group = [.. matrix.Values.AsSpan(at, 32).ToArray().Select(w => (double)w)];
            double norm = group.Sum(w => w * w);
            if (norm == 0) continue;
            found += group.Select((w, i) => (w - stored[at + i]) * (w - stored[at + i])).Sum() / norm;
            best += BestOfAllScales(group) / norm;
        }
        Assert.InRange(Math.Sqrt(found / best), 1, bar);
    }

    /// <summary>
    /// 7.5 % of the weights' root mean square; even steps −8 … 7 with the best of all scales give 8.1 %. Both in double, from the same weights.
    /// </summary>
    [Fact]
    public void Gaussian_weights_err_less_than_with_even_steps()
    {
        TestMatrix matrix = Gaussian(4, 8000, 7);
        float[] stored = Dequantized(WeightSource.Create(matrix, WeightFormat.Int4));
        double ours = matrix.Values.Zip(stored, (w, s) => Math.Pow((double)w - s, 2)).Sum();
        double even = matrix.Values.Chunk(32).Sum(group => BestEvenSteps([.. group.Select(w => (double)w)]));
        Assert.InRange(Math.Sqrt(ours / even), 0.90, 0.94);
        Assert.InRange(Math.Sqrt(ours / matrix.Values.Sum(w => (double)w * w)), 0.073, 0.076);
    }

    /// <summary>What is stored in the format already stays as it is.</summary>
    [Fact]
    public void Quantizing_again_changes_nothing()
    {
        WeightSource once = WeightSource.Create(Gaussian(8, 640, 3), WeightFormat.Int4);
        WeightSource twice = WeightSource.Create(new TestMatrix(8, 640, Dequantized(once)), WeightFormat.Int4);
        Assert.Equal(Dequantized(once), Dequantized(twice));
    }

    [Fact]
    public void A_group_of_zeros_beside_one_that_is_not()
    {
        float[] half = new float[64];
        half[40] = 3;
        (byte[] values, Half[] scales) = ReadAll(WeightSource.Create(new TestMatrix(1, 64, half), WeightFormat.Int4));
        Assert.Equal((Half)0f, scales[0]);
        Assert.True(scales[1] < (Half)0f);
        // Element 8 of the second group is alone in not being the nibble 8.
        Assert.All(values.Where((_, i) => i != 20), b => Assert.Equal(0x88, b));
        Assert.Equal(3, Dequantized(WeightSource.Create(new TestMatrix(1, 64, half), WeightFormat.Int4))[40], 3e-3f);
    }

    private static double BestOfAllScales(double[] group)
    {
        double extreme = group.MaxBy(Math.Abs), best = double.MaxValue;
        for (double at = 70; at < 190; at += 0.5)
            best = Math.Min(best, Math.Min(Error(group, extreme / at), Error(group, extreme / -at)));
        return best;

        static double Error(double[] group, double scale) => group.Sum(w => Math.Pow(Values.Min(v => Math.Abs(w - (v * scale))), 2));
    }

    private static double BestEvenSteps(double[] group)
    {
        double extreme = group.MaxBy(Math.Abs), best = double.MaxValue;
        for (double at = 5; at < 11; at += 0.1)
            foreach (double scale in (double[])[extreme / at, extreme / -at])
                best = Math.Min(best, group.Sum(w => Math.Pow(w - (Math.Clamp(Math.Round(w / scale), -8, 7) * scale), 2)));
        return best;
    }
}
