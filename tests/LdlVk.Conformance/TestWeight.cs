using System.Runtime.InteropServices;
using LdlVk.Runtime.Devices;

namespace LdlVk.Conformance;

/// <summary>A random weight matrix in any format, which also gives its elements as the numbers that they stand for.</summary>
public sealed class TestWeight : IWeightSource
{
    private readonly byte[] values;
    private readonly Half[] scales;
    private readonly double[] elements;

    private TestWeight(int outputFeatures, int inputFeatures, WeightFormat format, float scale)
    {
        (OutputFeatures, InputFeatures, Format, Scale) = (outputFeatures, inputFeatures, format, scale);
        values = new byte[outputFeatures * PaddedRow * WeightLayout.ElementBytes(format)];
        scales = new Half[outputFeatures * WeightLayout.ScalesPerRow(format, inputFeatures)];
        elements = new double[outputFeatures * inputFeatures];
    }

    public string Name => "test weight";

    public int OutputFeatures { get; }

    public int InputFeatures { get; }

    public WeightFormat Format { get; }

    public float Scale { get; }

    private int PaddedRow => WeightLayout.PaddedRow(InputFeatures);

    /// <summary>The element that a device should multiply by, <see cref="Scale"/> included.</summary>
    public double this[int n, int k] => elements[(n * InputFeatures) + k];

    /// <summary>
    /// Elements around <paramref name="deviation"/>, before <paramref name="scale"/>. Int8 uses all of −128 … 127, and for the last group
    /// of every row a subnormal scale.
    /// </summary>
    public static TestWeight Random(
        Random random, int outputFeatures, int inputFeatures, WeightFormat format, double deviation = 0.05, float scale = 1)
    {
        TestWeight weight = new(outputFeatures, inputFeatures, format, scale);
        for (int i = 0; i < weight.scales.Length; i++)
        {
            bool last = (i + 1) % WeightLayout.ScalesPerRow(format, inputFeatures) == 0;
            weight.scales[i] = (Half)(last ? 3e-6 : deviation / 64 * (0.5 + random.NextDouble()));
        }
        for (int n = 0; n < outputFeatures; n++)
            for (int k = 0; k < inputFeatures; k++)
                weight.elements[(n * inputFeatures) + k] = scale * weight.Set(random, n, k, deviation * Matrix.Normal(random));
        return weight;
    }

    public void ReadRows(int firstRow, int rowCount, Span<byte> destination, Span<Half> destinationScales)
    {
        int bytes = PaddedRow * WeightLayout.ElementBytes(Format), scalesPerRow = WeightLayout.ScalesPerRow(Format, InputFeatures);
        values.AsSpan(firstRow * bytes, rowCount * bytes).CopyTo(destination);
        scales.AsSpan(firstRow * scalesPerRow, rowCount * scalesPerRow).CopyTo(destinationScales);
    }

    /// <summary>Stores an element and returns what was stored.</summary>
    private double Set(Random random, int n, int k, double value)
    {
        int at = (n * PaddedRow) + k;
        switch (Format)
        {
            case WeightFormat.Fp32:
                Span<float> floats = MemoryMarshal.Cast<byte, float>(values.AsSpan());
                return floats[at] = (float)value;
            case WeightFormat.Fp16:
                // Some elements are subnormal halves.
                Span<Half> halves = MemoryMarshal.Cast<byte, Half>(values.AsSpan());
                return (double)(halves[at] = (Half)(random.Next(16) == 0 ? value * 1e-5 : value));
            default:
                sbyte q = (sbyte)random.Next(-128, 128);
                values[at] = (byte)q;
                return q * (double)scales[at / WeightLayout.GroupSize];
        }
    }
}
