using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu.Ops;

/// <summary>Input rows of <see cref="IDevice.Int8Linear"/> as integers q in [−127, 127], a scale for every group of 32.</summary>
/// <param name="memory">Room of <see cref="Bytes"/>.</param>
/// <param name="rows">Rows.</param>
/// <param name="groups">Groups of a row.</param>
/// <param name="bytes">Whether the integers are stored as bytes, or as 16-bit integers.</param>
internal readonly unsafe struct Int8Rows(byte* memory, int rows, int groups, bool bytes)
{
    private const int Group = WeightLayout.GroupSize;

    // Exponents of the largest magnitudes 2⁻⁶⁴ and 2¹¹⁶, between which all steps stay within the normal floats.
    private const uint SmallestExponent = 63, EndOfExponents = 243;

    /// <summary>Groups of a row.</summary>
    public int Groups => groups;

    /// <summary>The integers, as bytes or as shorts.</summary>
    public byte* Values => memory;

    /// <summary>The scale of each group of each row.</summary>
    public float* Scales => (float*)(memory + ((long)rows * groups * Group * sizeof(short)));

    /// <summary>
    /// −128 times the sum of each group's integers, where they are stored as bytes: added to products with weights that are 128 too large,
    /// as unsigned bytes are, it gives the products with the weights.
    /// </summary>
    public int* Offsets => (int*)(Scales + ((long)rows * groups));

    /// <summary>Room for rows of <paramref name="groups"/> groups.</summary>
    public static long Bytes(int rows, int groups) => (long)rows * groups * ((Group * sizeof(short)) + sizeof(float) + sizeof(int));

    /// <summary>Quantizes a row.</summary>
    /// <param name="x">Its elements.</param>
    /// <param name="row">Its number.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Quantize(float* x, int row)
    {
        short* words = stackalloc short[Group];
        for (long g = (long)row * groups, end = g + groups; g < end; g++, x += Group)
        {
            if (!bytes)
            {
                Scales[g] = QuantizeGroup(x, (short*)memory + (g * Group));
                continue;
            }
            Scales[g] = QuantizeGroup(x, words);
            Vector256<short> low = Vector256.Load(words), high = Vector256.Load(words + 16);
            Vector256.Narrow(low, high).Store((sbyte*)memory + (g * Group));
            Offsets[g] = -128 * Vector256.Sum(low + high);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Round(Vector256<float> x) => Vector256.ConvertToInt32Native(Vector256.Round(x));
}
