using System.Runtime.InteropServices;
using CsCheck;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;
using static LdlVk.Runtime.Tests.Checkpoints.TestMatrix;

namespace LdlVk.Runtime.Tests.Checkpoints;

public sealed class WeightSourceTests
{
    [Fact]
    public void Fp32_is_the_matrix_padded_with_zeros() => TestMatrix.Random(-100, 100).Sample(matrix =>
    {
        WeightSource source = WeightSource.Create(matrix, WeightFormat.Fp32);
        Assert.Equal(1, source.Scale);
        Assert.Equal(matrix.Values, Dequantized(source));
        AssertPaddingIsZero(source);
    });

    [Theory]
    [InlineData(WeightFormat.Fp16)]
    [InlineData(WeightFormat.Int8)]
    [InlineData(WeightFormat.Int4)]
    public void The_scale_is_the_power_of_two_that_puts_the_largest_into_14_bits(WeightFormat format) => TestMatrix.Random(-90, 90).Sample(matrix =>
    {
        WeightSource source = WeightSource.Create(matrix, format);
        float largest = matrix.Values.Max(MathF.Abs);
        Assert.Equal(0, BitConverter.SingleToInt32Bits(source.Scale) & 0x7FFFFF);
        if (largest == 0) Assert.Equal(1, source.Scale);
        else Assert.InRange(largest / source.Scale, 16384f, MathF.BitDecrement(32768f));
        AssertPaddingIsZero(source);
    });

    [Theory]
    [InlineData(WeightFormat.Fp16)]
    [InlineData(WeightFormat.Int8)]
    [InlineData(WeightFormat.Int4)]
    public void Scaling_the_matrix_by_a_power_of_two_changes_the_scale_alone(WeightFormat format) =>
        Gen.Select(TestMatrix.Random(0, 0), Gen.Int[-60, 60]).Sample((matrix, exponent) =>
        {
            WeightSource one = WeightSource.Create(matrix, format);
            WeightSource other = WeightSource.Create(matrix with { Values = [.. matrix.Values.Select(v => MathF.ScaleB(v, exponent))] }, format);
            Assert.Equal(ReadAll(one).Values, ReadAll(other).Values);
            Assert.Equal(ReadAll(one).Scales, ReadAll(other).Scales);
            if (matrix.Values.Any(v => v != 0)) Assert.Equal(MathF.ScaleB(one.Scale, exponent), other.Scale);
        });

    /// <summary>Half precision: relative error 2⁻¹¹ above its smallest normal number 2⁻¹⁴, absolute error 2⁻²⁵ below, both times Scale.</summary>
    [Fact]
    public void Fp16_is_rounded_to_nearest() => TestMatrix.Random(-80, 80).Sample(matrix =>
    {
        WeightSource source = WeightSource.Create(matrix, WeightFormat.Fp16);
        float[] stored = Dequantized(source);
        for (int i = 0; i < stored.Length; i++)
        {
            double error = Math.Abs((double)stored[i] - matrix.Values[i]), magnitude = Math.Abs(matrix.Values[i]);
            double bound = magnitude >= source.Scale * Math.Pow(2, -14) ? magnitude * Math.Pow(2, -11) : source.Scale * Math.Pow(2, -25);
            Assert.True(error <= bound, $"{matrix.Values[i]} became {stored[i]}, scale {source.Scale}");
        }
    });

    [Fact]
    public void Int8_errs_by_half_a_step_at_most_and_never_clips() => TestMatrix.Random(-80, 80).Sample(matrix =>
    {
        WeightSource source = WeightSource.Create(matrix, WeightFormat.Int8);
        (byte[] values, Half[] scales) = ReadAll(source);
        float[] dequantized = Dequantized(source);
        int groups = WeightLayout.ScalesPerRow(WeightFormat.Int8, matrix.Columns);
        for (int i = 0; i < dequantized.Length; i++)
        {
            (int row, int column) = (i / matrix.Columns, i % matrix.Columns);
            double step = (double)source.Scale * (double)scales[(row * groups) + (column / 32)];
            // Half a step, and the roundings of w·(1/scale), which is at most 127, in single precision.
            Assert.True(Math.Abs((double)dequantized[i] - matrix.Values[i]) <= step * (0.5 + (127 * Math.Pow(2, -22))), $"{matrix.Values[i]} became {dequantized[i]}, step {step}");
            Assert.NotEqual(-128, (sbyte)values[(row * groups * 32) + column]);
        }
    });

    /// <summary>Plain round-to-nearest with the smallest scale, computed here in double, never has less squared error.</summary>
    [Fact]
    public void Int8_scales_are_at_least_as_good_as_the_smallest() => TestMatrix.Random(-10, 10).Sample(matrix =>
    {
        WeightSource source = WeightSource.Create(matrix, WeightFormat.Int8);
        float[] dequantized = Dequantized(source);
        for (int row = 0; row < matrix.Rows; row++)
        {
            for (int column = 0; column < matrix.Columns; column += 32)
            {
                int at = (row * matrix.Columns) + column, length = Math.Min(32, matrix.Columns - column);
                double[] group = [.. matrix.Values.AsSpan(at, length).ToArray().Select(v => (double)v / source.Scale)];
                double plain = PlainError(group), found = group.Select((w, i) => w - ((double)dequantized[at + i] / source.Scale)).Sum(e => e * e);
                Assert.True(found <= plain * 1.0001, $"{found} against {plain}");
            }
        }
    });

    [Fact]
    public void Int8_search_lowers_the_error_of_gaussian_weights_by_more_than_five_percent()
    {
        TestMatrix matrix = Gaussian(4, 32000, 7);
        float[] values = matrix.Values;
        WeightSource source = WeightSource.Create(matrix, WeightFormat.Int8);
        double found = values.Zip(Dequantized(source), (w, d) => ((double)w - d) / source.Scale).Sum(e => e * e);
        double plain = values.Chunk(32).Sum(group => PlainError([.. group.Select(w => (double)w / source.Scale)]));
        Assert.InRange(Math.Sqrt(found / plain), 0.85, 0.95);
    }

    [Fact]
    public void Zero_matrices_and_zero_groups_are_zero()
    {
        TestMatrix zero = new(2, 70, new float[140]);
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
        {
            WeightSource source = WeightSource.Create(zero, format);
            Assert.Equal(1, source.Scale);
            Assert.Equal(zero.Values, Dequantized(source));
            Assert.All(ReadAll(source).Scales, scale => Assert.Equal((Half)0f, scale));
        }
        float[] half = new float[64];
        half[40] = -3;
        (byte[] values, Half[] scales) = ReadAll(WeightSource.Create(new TestMatrix(1, 64, half), WeightFormat.Int8));
        Assert.Equal((Half)0f, scales[0]);
        Assert.True(scales[1] > (Half)0f);
        Assert.InRange((sbyte)values[40], -127, -118); // the eighth scale is at most 6 % above the first
        Assert.All(values.Where((_, k) => k != 40), v => Assert.Equal(0, v));
    }

    [Theory]
    [InlineData(float.Epsilon)]
    [InlineData(1e-40f)]
    [InlineData(3e38f)]
    public void The_smallest_and_the_largest_floats_survive(float magnitude)
    {
        TestMatrix matrix = new(1, 3, [magnitude, -magnitude, 0]);
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
        {
            float[] stored = Dequantized(WeightSource.Create(matrix, format));
            Assert.Equal(0, stored[2]);
            // One subnormal step, or half an int8 step.
            Assert.InRange(stored[0], (magnitude * 0.995f) - float.Epsilon, magnitude <= 1e-40f ? (magnitude * 1.005f) + float.Epsilon : float.MaxValue);
            Assert.Equal(-stored[0], stored[1]);
        }
    }

    /// <summary>Rows longer than what is converted at a time, asked for singly, together and from many threads.</summary>
    [Theory]
    [InlineData(WeightFormat.Fp32)]
    [InlineData(WeightFormat.Fp16)]
    [InlineData(WeightFormat.Int8)]
    [InlineData(WeightFormat.Int4)]
    public void Any_rows_may_be_asked_for_from_any_thread(WeightFormat format)
    {
        TestMatrix matrix = TestMatrix.Random(9, 5003, 3, 1);
        WeightSource source = WeightSource.Create(matrix, format);
        (byte[] values, Half[] scales) = ReadAll(source);
        AssertPaddingIsZero(source);
        int rowBytes = values.Length / 9, rowScales = scales.Length / 9;
        if (format == WeightFormat.Fp16)
        {
            for (int row = 0; row < 9; row++)
            {
                ReadOnlySpan<Half> halves = MemoryMarshal.Cast<byte, Half>(values.AsSpan(row * rowBytes, rowBytes));
                for (int k = 0; k < 5003; k++) Assert.Equal((Half)(matrix.Values[(row * 5003) + k] / source.Scale), halves[k]);
            }
        }
        Parallel.For(0, 45, i =>
        {
            int first = i % 9, count = Math.Min(1 + (i / 9), 9 - first);
            byte[] some = new byte[count * rowBytes];
            Half[] someScales = new Half[count * rowScales];
            source.ReadRows(first, count, some, someScales);
            Assert.Equal(values.AsSpan(first * rowBytes, some.Length).ToArray(), some);
            Assert.Equal(scales.AsSpan(first * rowScales, someScales.Length).ToArray(), someScales);
        });
        Assert.Throws<ArgumentOutOfRangeException>(() => source.ReadRows(9, 1, new byte[rowBytes], new Half[rowScales]));
        Assert.Throws<ArgumentOutOfRangeException>(() => source.ReadRows(-1, 1, new byte[rowBytes], new Half[rowScales]));
        Assert.Throws<ArgumentException>(() => source.ReadRows(0, 1, new byte[rowBytes + 1], new Half[rowScales]));
        Assert.Throws<ArgumentException>(() => source.ReadRows(0, 1, new byte[rowBytes], new Half[rowScales + 1]));
    }

    /// <summary>bf16 has 8 significant bits and half precision 11: within half's range nothing is lost.</summary>
    [Fact]
    public void Bf16_checkpoints_are_exact_in_fp16()
    {
        using Checkpoint checkpoint = Checkpoint.Open(Repository.Path("tests", "data", "goldens", "b_bf16_sharded"));
        CheckpointTensor tensor = checkpoint.Tensor("layers.2.mlp.gate_proj.weight", 192, 96);
        WeightSource source = WeightSource.Create(tensor, WeightFormat.Fp16);
        Assert.Equal(("layers.2.mlp.gate_proj.weight", 192, 96), (source.Name, source.OutputFeatures, source.InputFeatures));
        float[] original = new float[192 * 96];
        tensor.Read(0, original);
        Assert.All(original.Zip(Dequantized(source)), pair => Assert.True(pair.First == pair.Second || MathF.Abs(pair.First) < source.Scale * MathF.ScaleB(1, -14)));
        Assert.Contains(original, v => v != 0);
    }

    [Theory]
    [InlineData(float.NaN, "NaN")]
    [InlineData(float.PositiveInfinity, "Infinity")]
    [InlineData(float.NegativeInfinity, "-Infinity")]
    public void Weights_that_are_not_finite_are_named(float value, string shown)
    {
        TestMatrix matrix = TestMatrix.Random(7, 3001, 5, 1);
        matrix.Values[(5 * 3001) + 2999] = value;
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
        {
            string message = Assert.Throws<CheckpointException>(() => WeightSource.Create(matrix, format)).Message;
            Assert.Contains($"test.weight is {shown} at row 5, column 2999", message);
        }
    }

    /// <summary>Squared error of round-to-nearest with the smallest half-precision scale that does not clip.</summary>
    private static double PlainError(double[] group)
    {
        double largest = group.Max(Math.Abs);
        if (largest == 0) return 0;
        Half scale = (Half)(float)(largest / 127);
        if ((double)scale < (float)(largest / 127)) scale = Half.BitIncrement(scale);
        return group.Select(w => w - (Math.Round(w / (double)scale) * (double)scale)).Sum(e => e * e);
    }

    private static void AssertPaddingIsZero(WeightSource source)
    {
        float[] padded = new float[source.OutputFeatures * WeightLayout.PaddedRow(source.InputFeatures)];
        WeightSource.Dequantize(new Padded(source), 0, source.OutputFeatures, padded);
        for (int i = 0; i < padded.Length; i++)
            if (i % WeightLayout.PaddedRow(source.InputFeatures) >= source.InputFeatures) Assert.Equal(0, padded[i]);
    }

    /// <summary>A source that counts the padding in.</summary>
    private sealed class Padded(IWeightSource source) : IWeightSource
    {
        public string Name => source.Name;

        public int OutputFeatures => source.OutputFeatures;

        public int InputFeatures => WeightLayout.PaddedRow(source.InputFeatures);

        public WeightFormat Format => source.Format;

        public float Scale => source.Scale;

        public void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales)
        {
            // What is not written must show.
            values.Fill(0x55);
            source.ReadRows(firstRow, rowCount, values, scales);
        }
    }
}
