using System.Numerics;
using System.Runtime.Intrinsics;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>Candidate scales of the group quantizers: half-precision numbers, eight in the lanes of a vector.</summary>
internal static class GroupScales
{
    /// <summary>Returns the half-precision number <paramref name="steps"/> representable values above a positive one.</summary>
    public static Half Above(Half start, int steps) =>
        BitConverter.UInt16BitsToHalf((ushort)(BitConverter.HalfToUInt16Bits(start) + steps));

    /// <summary>
    /// Returns eight scales: <paramref name="start"/>, which must be positive, and those 1, 2, … 7 times <paramref name="step"/>
    /// representable values above it.
    /// </summary>
    public static Vector256<float> Eight(Half start, int step)
    {
        // The bits of a half, shifted to the position of a float's, are 2⁻¹¹² times its value, also for subnormals.
        Vector256<int> halves = Vector256.Create((int)BitConverter.HalfToUInt16Bits(start)) + (Vector256<int>.Indices * step);
        return (halves << 13).AsSingle() * MathF.ScaleB(1, 112);
    }

    /// <summary>Returns the index of the first lane with the smallest value.</summary>
    public static int MinLane(Vector256<float> values)
    {
        Vector256<float> least = Vector256.MinNative(values, Vector256.Shuffle(values, Vector256.Create(4, 5, 6, 7, 0, 1, 2, 3)));
        least = Vector256.MinNative(least, Vector256.Shuffle(least, Vector256.Create(2, 3, 0, 1, 6, 7, 4, 5)));
        least = Vector256.MinNative(least, Vector256.Shuffle(least, Vector256.Create(1, 0, 3, 2, 5, 4, 7, 6)));
        return BitOperations.TrailingZeroCount(Vector256.Equals(values, least).ExtractMostSignificantBits());
    }

    /// <summary>Returns the smallest half not below x; x must be positive.</summary>
    public static Half RoundUp(float x)
    {
        Half half = (Half)x;
        return Above(half, (float)half < x ? 1 : 0);
    }

    /// <summary>Returns the largest magnitude of 32 numbers.</summary>
    public static float LargestMagnitude(ReadOnlySpan<float> group)
    {
        Vector256<float> largest = Vector256.MaxNative(
            Vector256.MaxNative(Vector256.Abs(Vector256.Create(group)), Vector256.Abs(Vector256.Create(group[8..]))),
            Vector256.MaxNative(Vector256.Abs(Vector256.Create(group[16..])), Vector256.Abs(Vector256.Create(group[24..]))));
        Vector128<float> four = Vector128.MaxNative(largest.GetLower(), largest.GetUpper());
        return MathF.Max(MathF.Max(four[0], four[1]), MathF.Max(four[2], four[3]));
    }
}
