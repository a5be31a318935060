using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu;

/// <summary>Stored weight elements as fp32. Every step is exact, so that the fp32 value is the stored one.</summary>
internal static unsafe class Dequantise
{
    /// <summary>Writes elements [k, k + count) of row <paramref name="n"/>; both are multiples of the group size.</summary>
    public static void Row(CpuWeight weight, int n, int k, int count, float* destination)
    {
        long first = ((long)n * weight.Stride) + k;
        int bytes = WeightLayout.ElementBytes(weight.Format);
        Prefetch(weight.Values + ((first + count) * bytes), count * bytes);
        switch (weight.Format)
        {
            case WeightFormat.Fp32:
                Unsafe.CopyBlockUnaligned(destination, (float*)weight.Values + first, (uint)count * sizeof(float));
                break;
            case WeightFormat.Fp16:
                Fp16((ushort*)weight.Values + first, count, destination);
                break;
            default:
                Int8((sbyte*)weight.Values + first, weight.Scales + (first / WeightLayout.GroupSize), count, destination);
                break;
        }
    }

    /// <summary>
    /// Asks for the row's next chunk while the other rows are worked on. A chunk is too short a run for the processor's own prefetching
    /// (measured: without this, one input row against fp16 weights takes nearly twice the time). Asking beyond the end of the matrix does no harm.
    /// </summary>
    private static void Prefetch(byte* next, int bytes)
    {
        const int CacheLine = 64;
        if (!Sse.IsSupported) return;
        for (int i = 0; i < bytes; i += CacheLine) Sse.Prefetch1(next + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Fp16(ushort* source, int count, float* destination)
    {
        for (int k = 0; k < count; k += 16)
        {
            Vector256<short> halves = Vector256.Load(source + k).AsInt16();
            Fp16(Vector256.WidenLower(halves)).Store(destination + k);
            Fp16(Vector256.WidenUpper(halves)).Store(destination + k + 8);
        }
    }

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
    private static void Int8(sbyte* source, Half* scales, int count, float* destination)
    {
        for (int k = 0; k < count; k += WeightLayout.GroupSize)
        {
            // An 8-bit integer times an 11-bit significand fits in fp32's 24 bits.
            Vector256<float> scale = Vector256.Create((float)scales[k / WeightLayout.GroupSize]);
            Vector256<sbyte> group = Vector256.Load(source + k);
            (Vector256<short> lower, Vector256<short> upper) = Vector256.Widen(group);
            Int8(Vector256.WidenLower(lower), scale, destination + k);
            Int8(Vector256.WidenUpper(lower), scale, destination + k + 8);
            Int8(Vector256.WidenLower(upper), scale, destination + k + 16);
            Int8(Vector256.WidenUpper(upper), scale, destination + k + 24);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Int8(Vector256<int> values, Vector256<float> scale, float* destination) =>
        (Vector256.ConvertToSingle(values) * scale).Store(destination);
}
