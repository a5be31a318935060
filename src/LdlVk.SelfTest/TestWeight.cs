using System.Runtime.InteropServices;
using LdlVk.Runtime.Devices;

namespace LdlVk.SelfTest;

/// <summary>A random weight matrix in any format, which also gives its elements as the numbers that they stand for.</summary>
public sealed class TestWeight : IWeightSource
{
    private readonly byte[] values;
    private readonly Half[] scales;
    private readonly double[] elements;
    private readonly int[] integers;

    private TestWeight(int outputFeatures, int inputFeatures, WeightFormat format, float scale)
    {
        (OutputFeatures, InputFeatures, Format, Scale) = (outputFeatures, inputFeatures, format, scale);
        values = new byte[outputFeatures * WeightLayout.RowBytes(format, inputFeatures)];
        if (format == WeightFormat.Int4) Array.Fill(values, (byte)0x88);
        scales = new Half[outputFeatures * WeightLayout.ScalesPerRow(format, inputFeatures)];
        elements = new double[outputFeatures * inputFeatures];
        integers = new int[outputFeatures * inputFeatures];
    }

    /// <inheritdoc/>
    public string Name => "test weight";

    /// <inheritdoc/>
    public int OutputFeatures { get; }

    /// <inheritdoc/>
    public int InputFeatures { get; }

    /// <inheritdoc/>
    public WeightFormat Format { get; }

    /// <inheritdoc/>
    public float Scale { get; }

    /// <summary>The integers of a group, without padding, and its scale, in formats that have scales.</summary>
    public (int[] Values, float Scale) Group(int n, int group)
    {
        int first = group * WeightLayout.GroupSize, count = Math.Min(WeightLayout.GroupSize, InputFeatures - first);
        float scale = (float)scales[(n * WeightLayout.ScalesPerRow(Format, InputFeatures)) + group];
        return (integers.AsSpan((n * InputFeatures) + first, count).ToArray(), scale);
    }

    private int PaddedRow => WeightLayout.PaddedRow(InputFeatures);

    /// <summary>The element that a device should multiply by, <see cref="Scale"/> included.</summary>
    public double this[int n, int k] => elements[(n * InputFeatures) + k];

    /// <summary>
    /// Elements around <paramref name="deviation"/>, before <paramref name="scale"/>. Int8 uses all of −128 … 127, Int4 all codes and
    /// scales of both signs, and both a subnormal scale for the last group of every row.
    /// </summary>
    public static TestWeight Random(
        Random random, int outputFeatures, int inputFeatures, WeightFormat format, double deviation = 0.05, float scale = 1)
    {
        TestWeight weight = new(outputFeatures, inputFeatures, format, scale);
        for (int i = 0; i < weight.scales.Length; i++)
        {
            bool last = (i + 1) % WeightLayout.ScalesPerRow(format, inputFeatures) == 0;
            int sign = format == WeightFormat.Int4 && random.Next(2) == 0 ? -1 : 1;
            weight.scales[i] = (Half)(sign * (last ? 3e-6 : deviation / 64 * (0.5 + random.NextDouble())));
        }
        for (int n = 0; n < outputFeatures; n++)
            for (int k = 0; k < inputFeatures; k++)
                weight.elements[(n * inputFeatures) + k] = scale * weight.Set(random, n, k, deviation * Matrix.Normal(random));
        return weight;
    }

    /// <inheritdoc/>
    public void ReadRows(int firstRow, int rowCount, Span<byte> destination, Span<Half> destinationScales)
    {
        int bytes = (int)WeightLayout.RowBytes(Format, InputFeatures), scalesPerRow = WeightLayout.ScalesPerRow(Format, InputFeatures);
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
            case WeightFormat.Int4:
                // Nibble 0 … 7 of a word: elements 0, 2, 4, 6, 1, 3, 5, 7.
                int code = random.Next(-8, 8), nibble = (k % 8 / 2) + (k % 2 * 4), inGroup = at % WeightLayout.GroupSize;
                ref byte pair = ref values[(at / WeightLayout.GroupSize * 16) + (inGroup / 8 * 4) + (nibble / 2)];
                pair = (byte)(nibble % 2 == 0 ? (pair & 0xF0) | (code + 8) : (pair & 0x0F) | ((code + 8) << 4));
                int[] magnitudes = [0, 9, 20, 33, 48, 65, 84, 105, 128];
                int v = Math.Sign(code) * magnitudes[Math.Abs(code)];
                integers[(n * InputFeatures) + k] = v;
                return v * (double)scales[at / WeightLayout.GroupSize];
            default:
                sbyte q = (sbyte)random.Next(-128, 128);
                values[at] = (byte)q;
                integers[(n * InputFeatures) + k] = q;
                return q * (double)scales[at / WeightLayout.GroupSize];
        }
    }
}
