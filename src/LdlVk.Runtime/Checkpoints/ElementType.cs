using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>Element type of a tensor in a checkpoint.</summary>
public enum ElementType
{
    /// <summary>32-bit floats.</summary>
    Fp32,
    /// <summary>16-bit floats (IEEE half).</summary>
    Fp16,
    /// <summary>The upper half of a 32-bit float (bfloat16).</summary>
    Bf16,
    /// <summary>64-bit floats, rounded to the nearest 32-bit float when read.</summary>
    Fp64,
    /// <summary>8-bit floats of 4 exponent and 3 mantissa bits (E4M3, without infinities), with scales beside them.</summary>
    Fp8E4M3,
}

/// <summary>Sizes and conversions of the element types. Files are little-endian, as are all machines .NET runs GPUs on.</summary>
internal static class Elements
{
    /// <summary>Bytes of one element.</summary>
    public static int Bytes(this ElementType type) => type switch
    {
        ElementType.Fp64 => 8,
        ElementType.Fp32 => 4,
        ElementType.Fp8E4M3 => 1,
        _ => 2,
    };

    /// <summary>The values of the 256 bytes of E4M3: bias 7, subnormal numbers in steps of 2⁻⁹, all ones is not a number.</summary>
    private static readonly float[] Fp8 =
    [
        .. Enumerable.Range(0, 256).Select(bits =>
        {
            int exponent = (bits >> 3) & 15, mantissa = bits & 7;
            float magnitude = (bits & 0x7f) == 0x7f ? float.NaN
                : exponent == 0 ? MathF.ScaleB(mantissa, -9) : MathF.ScaleB(8 + mantissa, exponent - 10);
            return bits < 128 ? magnitude : -magnitude;
        }),
    ];

    /// <summary>Converts <paramref name="source"/>, which need not be aligned; exact except for <see cref="ElementType.Fp64"/>.</summary>
    public static void ToSingle(ElementType type, ReadOnlySpan<byte> source, Span<float> destination)
    {
        switch (type)
        {
            case ElementType.Fp32:
                source.CopyTo(MemoryMarshal.AsBytes(destination));
                break;
            case ElementType.Fp16:
                TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(source), destination);
                break;
            case ElementType.Bf16:
                Bf16ToSingle(MemoryMarshal.Cast<byte, ushort>(source), destination);
                break;
            case ElementType.Fp64:
                ReadOnlySpan<double> doubles = MemoryMarshal.Cast<byte, double>(source);
                for (int i = 0; i < doubles.Length; i++) destination[i] = (float)doubles[i];
                break;
            case ElementType.Fp8E4M3:
                for (int i = 0; i < source.Length; i++) destination[i] = Fp8[source[i]];
                break;
        }
    }

    private static void Bf16ToSingle(ReadOnlySpan<ushort> source, Span<float> destination)
    {
        Span<uint> bits = MemoryMarshal.Cast<float, uint>(destination)[..source.Length];
        int i = 0;
        for (; i <= source.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector.Widen(new Vector<ushort>(source[i..]), out Vector<uint> low, out Vector<uint> high);
            (low << 16).CopyTo(bits[i..]);
            (high << 16).CopyTo(bits[(i + Vector<uint>.Count)..]);
        }
        for (; i < source.Length; i++) bits[i] = (uint)source[i] << 16;
    }
}
