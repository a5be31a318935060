using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LdlVk.Cpu.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu.Ops;

/// <summary>Stored weight elements as fp32. Every step is exact, so that the fp32 value is the stored one.</summary>
internal static unsafe class Dequantize
{
    /// <summary>
    /// Writes elements [k, k + count) of row <paramref name="n"/>, eight neighbors at a time, each eight <paramref name="step"/> floats
    /// after the eight before. <paramref name="k"/> and <paramref name="count"/> are multiples of the group size.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Row(CpuWeight weight, int n, int k, int count, float* destination, nint step)
    {
        long group = (((long)n * weight.Stride) + k) / WeightLayout.GroupSize;
        int groupBytes = WeightLayout.GroupBytes(weight.Format), bytes = count / WeightLayout.GroupSize * groupBytes;
        byte* values = weight.Values + (group * groupBytes);
        Prefetch(values + bytes, bytes);
        switch (weight.Format)
        {
            case WeightFormat.Fp32:
                for (int i = 0; i < count; i += 8, destination += step) Vector256.Load((float*)values + i).Store(destination);
                break;
            case WeightFormat.Fp16:
                Fp16((ushort*)values, count, destination, step);
                break;
            case WeightFormat.Int8:
                Int8((sbyte*)values, weight.Scales + group, count, destination, step);
                break;
            default:
                Int4((uint*)values, weight.Scales + group, count, destination, step);
                break;
        }
    }

    /// <summary>The 32 integers of a group of an Int8 or Int4 weight, counted over the whole matrix, before its scale.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Integers(CpuWeight weight, long group, short* destination)
    {
        if (weight.Format == WeightFormat.Int8)
        {
            (Vector256<short> lower, Vector256<short> upper) =
                Vector256.Widen(Vector256.Load((sbyte*)weight.Values + (group * WeightLayout.GroupSize)));
            lower.Store(destination);
            upper.Store(destination + 16);
            return;
        }

        uint* words = (uint*)weight.Values + (group * 4);
        Int4(words[0], words[1]).Store(destination);
        Int4(words[2], words[3]).Store(destination + 16);
    }

    /// <summary>
    /// Prefetches the row's next chunk while the other rows are processed. A chunk is too short for hardware prefetching: without this,
    /// one input row with fp16 weights takes nearly twice the time (measured). Prefetching beyond the end of the matrix is harmless.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Prefetch(byte* next, int bytes)
    {
        const int CacheLine = 64;
        if (!Sse.IsSupported) return;
        for (int i = 0; i < bytes; i += CacheLine) Sse.Prefetch1(next + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Fp16(ushort* source, int count, float* destination, nint step)
    {
        for (int k = 0; k < count; k += 16, destination += 2 * step)
        {
            Vector256<short> halves = Vector256.Load(source + k).AsInt16();
            Fp16(Vector256.WidenLower(halves)).Store(destination);
            Fp16(Vector256.WidenUpper(halves)).Store(destination + step);
        }
    }

    /// <summary>Eight halves as floats.</summary>
    public static Vector256<float> Fp16(Vector128<short> halves) =>
        Fp16(Vector256.Create(Vector128.WidenLower(halves), Vector128.WidenUpper(halves)));

    /// <summary>Eight halves, sign-extended to 32 bits, as floats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Fp16(Vector256<int> half)
    {
        // The half's exponent and mantissa land in the float's fields; multiplying by 2^112 moves the exponent's bias from 15 to 127 and
        // is exact for subnormal halves too. What was ∞ or NaN comes out at 65536 or above and gets the float's all-ones exponent.
        Vector256<int> moved = (half << 13) & Vector256.Create(unchecked((int)0x8FFFE000));
        Vector256<float> value = moved.AsSingle() * Vector256.Create(5.192296858534828e33f);
        Vector256<float> special = Vector256.GreaterThanOrEqual(Vector256.Abs(value), Vector256.Create(65536f));
        return value | (special & Vector256.Create(float.PositiveInfinity));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Int8(sbyte* source, Half* scales, int count, float* destination, nint step)
    {
        for (int k = 0; k < count; k += WeightLayout.GroupSize, destination += 4 * step)
        {
            // An 8-bit integer times an 11-bit significand fits in fp32's 24 bits.
            Vector256<float> scale = Fp16(Vector256.Create((int)((short*)scales)[k / WeightLayout.GroupSize]));
            Vector256<sbyte> group = Vector256.Load(source + k);
            (Vector256<short> lower, Vector256<short> upper) = Vector256.Widen(group);
            Int8(Vector256.WidenLower(lower), scale, destination);
            Int8(Vector256.WidenUpper(lower), scale, destination + step);
            Int8(Vector256.WidenLower(upper), scale, destination + (2 * step));
            Int8(Vector256.WidenUpper(upper), scale, destination + (3 * step));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Int8(Vector256<int> values, Vector256<float> scale, float* destination) =>
        (Vector256.ConvertToSingle(values) * scale).Store(destination);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Int4(uint* source, Half* scales, int count, float* destination, nint step)
    {
        for (int k = 0; k < count; k += WeightLayout.GroupSize)
        {
            Vector256<float> scale = Fp16(Vector256.Create((int)((short*)scales)[k / WeightLayout.GroupSize]));
            for (int i = k; i < k + WeightLayout.GroupSize; i += 16, destination += 2 * step)
            {
                Vector256<short> values = Int4(source[i / 8], source[(i / 8) + 1]);
                Int8(Vector256.WidenLower(values), scale, destination);
                Int8(Vector256.WidenUpper(values), scale, destination + step);
            }
        }
    }

    /// <summary>
    /// The 16 values of two words, in the order of their elements. Each word is copied to four lanes; multiplying by 2¹²⁻⁴ʲ moves
    /// the nibbles of the neighbors 2j and 2j + 1 to bits 12 and 28, the tops of two 16-bit numbers.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<short> Int4(uint word0, uint word1)
    {
        Vector256<uint> words = Vector256.Create(Vector128.Create(word0), Vector128.Create(word1));
        Vector256<uint> tops = words * Vector256.Create(1u << 12, 1u << 8, 1u << 4, 1u, 1u << 12, 1u << 8, 1u << 4, 1u);
        Vector256<short> codes = (tops.AsUInt16() >>> 12).AsInt16() - Vector256.Create((short)8);
        return codes * (Vector256.Create((short)8) + Vector256.Abs(codes));
    }
}
