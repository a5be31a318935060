using System.Numerics;
using LdlVk.Runtime.Devices;

namespace LdlVk.SelfTest;

/// <summary>The formula of <see cref="IDevice.Int8Linear"/>, step by step, with exact integers where it divides.</summary>
public static class Int8Formula
{
    /// <summary>The product x [M, K] · weight [N, K] + bias [1, N], as [M, N]; every device must give these bits.</summary>
    public static Matrix Product(Matrix x, TestWeight weight, Matrix? bias = null)
    {
        Matrix result = new(x.Rows, weight.OutputFeatures);
        for (int m = 0; m < x.Rows; m++)
        {
            for (int g = 0; g < x.Columns; g += WeightLayout.GroupSize)
            {
                (int[] q, float s) = Quantized(x.Row(m)[g..Math.Min(g + WeightLayout.GroupSize, x.Columns)]);
                for (int n = 0; n < weight.OutputFeatures; n++)
                {
                    (int[] v, float scale) = weight.Group(n, g / WeightLayout.GroupSize);
                    int sum = 0;
                    for (int k = 0; k < q.Length; k++) sum += q[k] * v[k];
                    float factor = s * scale, product = factor * sum;
                    result[m, n] += product;
                }
            }
        }

        for (int i = 0; i < result.Data.Length; i++)
        {
            float scaled = result.Data[i] * weight.Scale;
            result.Data[i] = bias is null ? scaled : scaled + bias[0, i % result.Columns];
        }

        return result;
    }

    /// <summary>The integers of a group of inputs, and what they are multiples of.</summary>
    public static (int[] Q, float S) Quantized(ReadOnlySpan<float> group)
    {
        (float a, double r) = Reciprocal(group);
        if (r == 0) return (new int[group.Length], 0);
        int[] q = new int[group.Length];
        for (int k = 0; k < q.Length; k++) q[k] = (int)MathF.Round(group[k] * (float)r, MidpointRounding.ToEven);
        return (q, a * (1f / 127f));
    }

    /// <summary>The largest magnitude a of a group, and r, which is 127/a to 2⁻¹⁵; 0 for a group that is as good as zero.</summary>
    public static (float Largest, double Reciprocal) Reciprocal(ReadOnlySpan<float> group)
    {
        float a = 0;
        foreach (float v in group) a = MathF.Max(a, MathF.Abs(v));
        if (a < MathF.ScaleB(1, -64)) return (a, 0);
        // a = m·2^(e − 23)
        int e = MathF.ILogB(a);
        var m = (BigInteger)MathF.ScaleB(a, 23 - e);
        BigInteger quotient = 127 * BigInteger.Pow(2, 25) / (m / 256);
        // 127/a = quotient · 2^(−25) / 2⁸ / 2^(e − 23)
        return (a, Math.ScaleB((double)quotient, -25 - 8 - (e - 23)));
    }
}
