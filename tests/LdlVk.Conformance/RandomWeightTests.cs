using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Conformance;

/// <summary>Made-up weights: what a device makes itself, and what the host makes of the same seed.</summary>
public sealed class RandomWeightTests : ConformanceTest
{
    private static readonly (int N, int K)[] Shapes = [(1, 1), (1, 32), (3, 31), (5, 33), (7, 70), (129, 260), (2, 4608)];

    /// <summary>Products with the unit matrix show every element, so equal bits here are equal weights.</summary>
    [Theory]
    [MemberData(nameof(DevicesAndFormats))]
    public void Device_and_host_make_the_same_bits(string id, WeightFormat format)
    {
        IDevice device = Open(id);
        foreach ((int n, int k) in Shapes)
        {
            RandomWeightSource source = new("random", n, k, format, seed: (uint)(n + k));
            Matrix unit = new(Math.Min(k, 300), k);
            for (int i = 0; i < unit.Rows; i++) unit[i, i] = 1;
            Matrix made = Run(source), uploaded = Run(new Uploaded(source));
            Check.SameBits($"random {format} [{n}, {k}] on {id}", made, uploaded);

            float[] elements = new float[n * k];
            WeightSource.Dequantize(source, 0, n, elements);
            // An integer times its scale has more bits than a half.
            double rounding = WeightLayout.HasScales(format) ? TestDevices.Get(id).OperandRounding(format) : 0;
            for (int i = 0; i < unit.Rows; i++)
                for (int j = 0; j < n; j++) Assert.Equal(elements[(j * k) + i], made[i, j], rounding * Math.Abs(elements[(j * k) + i]));

            Matrix Run(IWeightSource from)
            {
                using IWeight weight = device.CreateWeight(from);
                using ITensor input = device.CreateTensor(unit.Rows, k), output = device.CreateTensor(unit.Rows, n);
                device.Write(input, 0, unit.Data);
                device.Linear(output, input, weight);
                return Read(device, output);
            }
        }
    }

    /// <summary>Uniform elements of variance 1/K give a product of the variance of its input: within a factor of 2 either way.</summary>
    [Theory]
    [InlineData(WeightFormat.Fp32)]
    [InlineData(WeightFormat.Fp16)]
    [InlineData(WeightFormat.Int8)]
    [InlineData(WeightFormat.Int4)]
    public void Elements_are_spread_as_they_should(WeightFormat format)
    {
        const int N = 200, K = 500;
        float[] elements = new float[N * K], others = new float[N * K];
        WeightSource.Dequantize(new RandomWeightSource("a", N, K, format, 1), 0, N, elements);
        WeightSource.Dequantize(new RandomWeightSource("b", N, K, format, 2), 0, N, others);
        double variance = elements.Average(x => (double)x * x), mean = elements.Average(x => (double)x);
        Assert.InRange(variance * K, 0.5, 2.5);
        Assert.InRange(mean, -0.02 * Math.Sqrt(variance), 0.02 * Math.Sqrt(variance));
        double correlation = elements.Zip(others, (x, y) => (double)x * y).Average() / variance;
        Assert.InRange(correlation, -0.02, 0.02);
        Assert.InRange(elements.Take(N * K / 2).Zip(elements.Skip(N * K / 2), (x, y) => (double)x * y).Average() / variance, -0.02, 0.02);
    }

    [Theory]
    [InlineData(WeightFormat.Fp32)]
    [InlineData(WeightFormat.Fp16)]
    [InlineData(WeightFormat.Int8)]
    [InlineData(WeightFormat.Int4)]
    public void Padding_is_zero_and_rows_do_not_depend_on_the_piece(WeightFormat format)
    {
        // A whole number of words, so that padding is whole bytes in every format.
        const int N = 6, K = 40;
        RandomWeightSource source = new("random", N, K, format, 9);
        int row = (int)WeightLayout.RowBytes(format, K), data = row * K / 64, scales = WeightLayout.ScalesPerRow(format, K);
        byte[] all = new byte[N * row], one = new byte[row];
        Half[] allScales = new Half[N * scales], oneScales = new Half[scales];
        Array.Fill(all, (byte)0xff);
        source.ReadRows(0, N, all, allScales);
        for (int n = 0; n < N; n++)
        {
            Assert.All(all[((n * row) + data)..((n + 1) * row)], b => Assert.Equal(format == WeightFormat.Int4 ? 0x88 : 0, b));
            source.ReadRows(n, 1, one, oneScales);
            Assert.Equal(all[(n * row)..((n + 1) * row)], one);
            Assert.Equal(allScales[(n * scales)..((n + 1) * scales)], oneScales);
        }
    }

    /// <summary>Hides what kind of source it is, so that the device asks for rows.</summary>
    private sealed class Uploaded(IWeightSource source) : IWeightSource
    {
        public string Name => source.Name;
        public int OutputFeatures => source.OutputFeatures;
        public int InputFeatures => source.InputFeatures;
        public WeightFormat Format => source.Format;
        public float Scale => source.Scale;
        public void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales) => source.ReadRows(firstRow, rowCount, values, scales);
    }
}
