using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu.Ops;

/// <summary>Input rows of <see cref="IDevice.Int8Linear"/> as integers q in [−127, 127], a scale for every group of 32.</summary>
internal static unsafe class Int8Rows
{
    private const int Group = WeightLayout.GroupSize;

    // Exponents of the largest magnitudes 2⁻⁶⁴ and 2¹¹⁶, between which all steps stay within the normal floats.
    private const uint SmallestExponent = 63, EndOfExponents = 243;

    /// <summary>Quantizes <paramref name="count"/> elements, whole groups of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Quantize(float* x, int count, short* quantized, float* scales)
    {
        for (int k = 0; k < count; k += Group) scales[k / Group] = QuantizeGroup(x + k, quantized + k);
    }

    private static float QuantizeGroup(float* x, short* quantized)
    {
        // Magnitudes compare as the integers that their bits are; not-a-number and infinity are above all others.
        Vector256<int> magnitude = Vector256.Create(int.MaxValue), largest = default;
        for (int i = 0; i < Group; i += 8) largest = Vector256.Max(largest, Vector256.Load((int*)(x + i)) & magnitude);
        uint bits = 0;
        for (int i = 0; i < 8; i++) bits = Math.Max(bits, (uint)largest[i]);

        uint exponent = bits >> 23;
        if (exponent is < SmallestExponent or >= EndOfExponents)
        {
            new Span<short>(quantized, Group).Clear();
            return exponent < SmallestExponent ? 0 : float.NaN;
        }

        // 127 / a, from the first 16 bits of a's mantissa: a division of integers is exact on every device, one of floats is not.
        uint mantissa = ((bits & 0x7FFFFF) | 0x800000) >> 8;
        float inverse = (0xFE000000 / mantissa) * BitConverter.UInt32BitsToSingle((244 - exponent) << 23);
        for (int i = 0; i < Group; i += 16)
        {
            Vector256<int> low = Round(Vector256.Load(x + i) * inverse), high = Round(Vector256.Load(x + i + 8) * inverse);
            Vector256.Narrow(low, high).Store(quantized + i);
        }
        return BitConverter.UInt32BitsToSingle(bits) * (1f / 127);
    }

    /// <summary>To nearest, ties to even.</summary>
    private static Vector256<int> Round(Vector256<float> x) => Vector256.ConvertToInt32Native(Vector256.Round(x));
}
