using System.Runtime.InteropServices;
using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;

namespace LdlVk.Conformance;

/// <summary>
/// A weight whose elements are small integers times its scale, so that a product with small integers is exact in any order of summation:
/// whoever computes with another weight, or with half of this one, shows it in the bits.
/// </summary>
public sealed class IntegerWeight(int seed, int outputFeatures, int inputFeatures, WeightFormat format, float scale = 1, int damagedRow = -1) : IWeightSource
{
    public string Name => $"integers {seed}";

    public int OutputFeatures => outputFeatures;

    public int InputFeatures => inputFeatures;

    public WeightFormat Format => format;

    public float Scale => scale;

    /// <summary>The stored element: −2 … 2, or in int4 those of its values that are nearest to zero.</summary>
    public int this[int n, int k]
    {
        get
        {
            int code = Code(n, k);
            return format == WeightFormat.Int4 ? code * (8 + Math.Abs(code)) : code;
        }
    }

    public void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales)
    {
        if (firstRow <= damagedRow && damagedRow < firstRow + rowCount) throw new CheckpointException($"row {damagedRow} is damaged");
        scales.Fill(Half.One);
        values.Fill(format == WeightFormat.Int4 ? (byte)0x88 : (byte)0);
        int rowBytes = (int)WeightLayout.RowBytes(format, inputFeatures);
        for (int r = 0; r < rowCount; r++)
        {
            Span<byte> row = values.Slice(r * rowBytes, rowBytes);
            for (int k = 0; k < inputFeatures; k++)
            {
                int code = Code(firstRow + r, k);
                switch (format)
                {
                    case WeightFormat.Fp32:
                        MemoryMarshal.Cast<byte, float>(row)[k] = code;
                        break;
                    case WeightFormat.Fp16:
                        MemoryMarshal.Cast<byte, Half>(row)[k] = (Half)code;
                        break;
                    case WeightFormat.Int8:
                        row[k] = (byte)(sbyte)code;
                        break;
                    default:
                        // Nibble 0 … 7 of a word: elements 0, 2, 4, 6, 1, 3, 5, 7.
                        int shift = (k % 8 / 2 * 4) + (k % 2 * 16);
                        ref uint word = ref MemoryMarshal.Cast<byte, uint>(row)[k / 8];
                        word = (word & ~(15u << shift)) | ((uint)(code + 8) << shift);
                        break;
                }
            }
        }
    }

    /// <summary>x·Wᵀ for an x of small integers, exact.</summary>
    public Matrix Times(Matrix x)
    {
        Matrix y = new(x.Rows, outputFeatures);
        for (int m = 0; m < x.Rows; m++)
            for (int n = 0; n < outputFeatures; n++)
            {
                long sum = 0;
                for (int k = 0; k < inputFeatures; k++) sum += (long)x[m, k] * this[n, k];
                y[m, n] = sum * scale;
            }
        return y;
    }

    private int Code(int n, int k) => (int)(RandomWeightSource.Hash((uint)seed + RandomWeightSource.Hash((uint)((n * 8191) + k))) % 5) - 2;
}
