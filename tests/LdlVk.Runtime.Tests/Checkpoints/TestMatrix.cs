using CsCheck;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Tests.Checkpoints;

/// <summary>A matrix in memory, and what the quantizer's tests do with one.</summary>
internal sealed record TestMatrix(int Rows, int Columns, float[] Values) : IFloatMatrix
{
    public string Name => "test.weight";

    public void Read(long firstElement, Span<float> destination) => Values.AsSpan((int)firstElement, destination.Length).CopyTo(destination);

    /// <summary>Normal values with now and then an outlier or a zero, and whole groups of zeros or of tiny values.</summary>
    public static Gen<TestMatrix> Random(int minExponent, int maxExponent) =>
        from rows in Gen.Int[1, 4]
        from columns in Gen.Int[1, 150]
        from exponent in Gen.Int[minExponent, maxExponent]
        from seed in Gen.Int
        select Random(rows, columns, seed, MathF.ScaleB(1, exponent));

    public static TestMatrix Random(int rows, int columns, int seed, float magnitude)
    {
        Random random = new(seed);
        float[] values = new float[rows * columns];
        float group = 1;
        for (int i = 0; i < values.Length; i++)
        {
            if (i % columns % 32 == 0) group = random.Next(8) switch { 0 => 0, 1 => 1e-5f, 2 => 30, _ => 1 };
            float outlier = random.Next(40) switch { 0 => 50, 1 => 0, _ => 1 };
            values[i] = magnitude * group * outlier * Normal(random);
        }
        return new TestMatrix(rows, columns, values);
    }

    public static TestMatrix Gaussian(int rows, int columns, int seed)
    {
        Random random = new(seed);
        return new TestMatrix(rows, columns, [.. Enumerable.Range(0, rows * columns).Select(_ => Normal(random))]);
    }

    /// <summary>All stored rows, with garbage behind what is not written.</summary>
    public static (byte[] Values, Half[] Scales) ReadAll(IWeightSource source)
    {
        byte[] values = new byte[source.OutputFeatures * WeightLayout.RowBytes(source.Format, source.InputFeatures)];
        Half[] scales = new Half[source.OutputFeatures * WeightLayout.ScalesPerRow(source.Format, source.InputFeatures)];
        Array.Fill(values, (byte)0xAA);
        source.ReadRows(0, source.OutputFeatures, values, scales);
        return (values, scales);
    }

    public static float[] Dequantized(WeightSource source)
    {
        float[] values = new float[source.OutputFeatures * source.InputFeatures];
        WeightSource.Dequantize(source, 0, source.OutputFeatures, values);
        return values;
    }

    private static float Normal(Random random) => (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
}
