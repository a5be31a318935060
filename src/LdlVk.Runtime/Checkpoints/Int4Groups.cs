using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>
/// 4-bit quantization of one group of 32 as <see cref="WeightLayout"/> describes it: w ≈ scale·v(q), v(q) = q·(8 + |q|), with
/// q in [−8, 7].
/// <para>
/// The measurements behind the choice: root mean squared error in percent of the weights' root mean square, on Gaussian weights, on
/// weights with heavy tails (Student's t with 5 degrees of freedom) and on the first layers of models/ldl-mini. The weights of the golden
/// checkpoints are close to Gaussian.
/// </para>
/// <code>
///                                                          bits  Gaussian   tails  ldl-mini
/// even steps −7 … 7, scale largest/7                        4.5      9.71   12.31      9.61
/// even steps −8 … 7, scale extreme/−8                       4.5      8.58   10.85      8.51
/// even steps, the best of all scales                        4.5      8.08   10.36      8.01
/// even steps with a least value, plain                      5.0      7.81    9.00      7.78
/// even steps with a least value, the best of 81             5.0      7.13    8.25      7.11
/// a table of 16 for Gaussian weights (llama.cpp's IQ4_NL)   4.5      7.44    8.67      7.41
/// v(q), scale extreme/−128                                  4.5      8.22    9.01      8.23
/// v(q), the best of 8 scales                                4.5      7.55    8.42      7.54
/// v(q), the best of 8 scales, refitted (this)               4.5      7.49    8.36      7.47
/// v(q), the best of 16 scales                               4.5      7.49    8.37      7.47
/// v(q), the best of all scales                              4.5      7.46    8.34      7.44
/// </code>
/// With q·(c + |q|), c = 6 gives 7.57 on Gaussian weights; c = 10 and 12 give 7.45 and 7.43, but 8.47 and 8.58 on heavy tails. v fits a
/// byte only up to c = 8. "Refitted" means that the scale is fitted to the chosen codes by least squares.
/// <para>
/// Vectors are 256 bits wide on every machine, so that all machines quantize to the same bits.
/// </para>
/// </summary>
internal static class Int4Groups
{
    /// <summary>Distance of the candidate scales in representable half-precision values: 3 to 6 %.</summary>
    private const int Step = 64;

    /// <summary>
    /// The first scale maps the group's extreme to −141, which clips it by a tenth; the last one maps it to −90 … −110.
    /// </summary>
    private const float FirstExtreme = 141;

    private const int Group = WeightLayout.GroupSize;

    /// <summary>A byte of two zero codes.</summary>
    private const byte Zeros = 0x88;

    /// <summary>Quantizes a group of 32 finite values of magnitude up to 2²⁰, to 16 bytes.</summary>
    /// <returns>The scale; 0 for a group of zeros.</returns>
    public static Half Quantize(ReadOnlySpan<float> group, Span<byte> packed)
    {
        float largest = GroupScales.LargestMagnitude(group);
        if (largest == 0)
        {
            packed[..WeightLayout.GroupBytes(WeightFormat.Int4)].Fill(Zeros);
            return (Half)0f;
        }

        // The code −8 reaches further than 7. The sign of the scale assigns it to the side of the group's extreme.
        float sign = Has(group, -largest) ? 1 : -1;
        Half first = GroupScales.RoundUp(largest / FirstExtreme);
        Half scale = GroupScales.Above(first, GroupScales.MinLane(SquaredErrors(group, sign, GroupScales.Eight(first, Step))) * Step);
        scale = Refitted(group, sign, scale);
        Vector256<float> inverse = Vector256.Create(sign / (float)scale);
        for (int i = 0; i < Group; i += 8)
            BinaryPrimitives.WriteUInt32LittleEndian(
                packed[(i / 2)..], Pack(Vector256.ConvertToInt32Native(Codes(Vector256.Create(group[i..]) * inverse))));
        return sign < 0 ? -scale : scale;
    }

    private static bool Has(ReadOnlySpan<float> group, float value)
    {
        Vector256<float> wanted = Vector256.Create(value);
        return Vector256.EqualsAny(Vector256.Create(group), wanted) || Vector256.EqualsAny(Vector256.Create(group[8..]), wanted)
            || Vector256.EqualsAny(Vector256.Create(group[16..]), wanted) || Vector256.EqualsAny(Vector256.Create(group[24..]), wanted);
    }

    /// <summary>Returns the least-squares scale Σ w·v / Σ v² for the codes that another scale gives.</summary>
    private static Half Refitted(ReadOnlySpan<float> group, float sign, Half scale)
    {
        Vector256<float> inverse = Vector256.Create(sign / (float)scale), products = default, squares = default;
        for (int i = 0; i < Group; i += 8)
        {
            Vector256<float> w = Vector256.Create(group[i..]), v = Values(Codes(w * inverse));
            products += w * v;
            squares += v * v;
        }
        Half refitted = (Half)(sign * Vector256.Sum(products) / Vector256.Sum(squares));
        // Undefined if all codes are 0, and unusable if it underflows.
        return refitted > (Half)0f ? refitted : scale;
    }

    /// <summary>Packs eight codes into a word: codes 2j and 2j + 1 start at bits 4j and 16 + 4j.</summary>
    private static uint Pack(Vector256<int> codes) =>
        (uint)Vector256.Sum(
            (codes + Vector256.Create(8)) * Vector256.Create(1, 1 << 16, 1 << 4, 1 << 20, 1 << 8, 1 << 24, 1 << 12, 1 << 28));

    /// <summary>Returns v(q) of element <paramref name="k"/> of a packed row.</summary>
    public static int Value(ReadOnlySpan<byte> packedRow, int k)
    {
        uint word = BinaryPrimitives.ReadUInt32LittleEndian(packedRow[(k / 8 * 4)..]);
        int q = (int)((word >> ShiftOf(k % 8)) & 15) - 8;
        return q * (8 + Math.Abs(q));
    }

    private static int ShiftOf(int element) => (element / 2 * 4) + (element % 2 * 16);

    /// <summary>
    /// Returns the nearest codes of numbers in units of the scale. |v(q)| = (|q| + 4)² − 16, so the midpoint between v(q) and v(q + 1)
    /// is (|q| + 4.5)² − 15.75: a square root and rounding find the nearest code exactly.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Codes(Vector256<float> w)
    {
        Vector256<float> magnitude = Magnitudes(Vector256.Abs(w), Limits(w));
        return Vector256.ConditionalSelect(Vector256.LessThan(w, Vector256<float>.Zero), -magnitude, magnitude);
    }

    /// <summary>Returns the magnitudes of the nearest codes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Magnitudes(Vector256<float> w, Vector256<float> limit) =>
        Vector256.MinNative(Vector256.Round(Vector256.Sqrt(w + Vector256.Create(15.75f)) - Vector256.Create(4f)), limit);

    /// <summary>Returns the largest code magnitude for the sign of each number.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Limits(Vector256<float> w) =>
        Vector256.ConditionalSelect(Vector256.LessThan(w, Vector256<float>.Zero), Vector256.Create(8f), Vector256.Create(7f));

    /// <summary>Returns the group's squared error for each of eight scales, one per lane.</summary>
    private static Vector256<float> SquaredErrors(ReadOnlySpan<float> group, float sign, Vector256<float> scales)
    {
        // Squares need only magnitudes, but the largest code depends on the sign.
        Span<float> magnitudes = stackalloc float[Group], limits = stackalloc float[Group];
        for (int i = 0; i < Group; i += 8)
        {
            Vector256<float> w = Vector256.Create(group[i..]) * sign;
            Vector256.Abs(w).CopyTo(magnitudes[i..]);
            Limits(w).CopyTo(limits[i..]);
        }

        Vector256<float> inverses = Vector256<float>.One / scales, even = default, odd = default;
        for (int k = 0; k < Group; k += 2)
        {
            even += SquaredError(Vector256.Create(magnitudes[k]), Vector256.Create(limits[k]), scales, inverses);
            odd += SquaredError(Vector256.Create(magnitudes[k + 1]), Vector256.Create(limits[k + 1]), scales, inverses);
        }
        return even + odd;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> SquaredError(
        Vector256<float> magnitude, Vector256<float> limit, Vector256<float> scales, Vector256<float> inverses)
    {
        Vector256<float> code = Magnitudes(magnitude * inverses, limit);
        Vector256<float> error = magnitude - (code * (Vector256.Create(8f) + code) * scales);
        return error * error;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Values(Vector256<float> codes) => codes * (Vector256.Create(8f) + Vector256.Abs(codes));
}
