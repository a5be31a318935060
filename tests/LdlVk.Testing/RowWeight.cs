using LdlVk.Runtime.Devices;

namespace LdlVk.Testing;

/// <summary>A weight with one element in each row that is not zero, with a row from which reading fails.</summary>
public sealed class RowWeight(int outputFeatures, int inputFeatures, WeightFormat format = WeightFormat.Fp32, int failsAt = int.MaxValue, int step = 7919) : IWeightSource
{
    public string Name => "row weight";
    public int OutputFeatures => outputFeatures;
    public int InputFeatures => inputFeatures;
    public WeightFormat Format => format;
    public float Scale => 1;

    /// <summary>The one element of a row that is not zero.</summary>
    public int ColumnOf(int row) => (int)((row * (long)step) % inputFeatures);

    /// <summary>That element; in int8 it is the scale of a group of one, in int4 −128 times the scale.</summary>
    public static float ValueOf(int row) => 1 + (row % 7);

    public void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales)
    {
        if (firstRow + rowCount > failsAt) throw new IOException($"row {failsAt} is unreadable");
        values.Fill(format == WeightFormat.Int4 ? (byte)0x88 : (byte)0);
        int rowBytes = values.Length / rowCount, groups = scales.Length / rowCount;
        for (int r = 0; r < rowCount; r++)
        {
            float value = ValueOf(firstRow + r);
            int column = ColumnOf(firstRow + r), bits = WeightLayout.GroupBytes(format) * 8 / WeightLayout.GroupSize;
            Span<byte> at = values[((r * rowBytes) + (column * bits / 8))..];
            switch (format)
            {
                case WeightFormat.Fp32:
                    BitConverter.TryWriteBytes(at, value);
                    break;
                case WeightFormat.Fp16:
                    BitConverter.TryWriteBytes(at, (Half)value);
                    break;
                case WeightFormat.Int8:
                    at[0] = 1;
                    scales.Slice(r * groups, groups).Fill((Half)value);
                    break;
                default:
                    // The code −8: nibble 0 at element i of a word, which is bit 4·(i / 2) + 16·(i % 2).
                    int shift = (column % 8 / 2 * 4) + (column % 2 * 16);
                    values[(r * rowBytes) + (column / 8 * 4) + (shift / 8)] = (byte)(shift % 8 == 0 ? 0x80 : 0x08);
                    scales.Slice(r * groups, groups).Fill((Half)(value / -128));
                    break;
            }
        }
    }
}
