using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LdlVk.Cpu.Ops;

/// <summary>
/// Elementary functions on eight floats, written out so that an element's bits depend on nothing but the element: not on the machine's
/// mathematics library, nor on the lane.
/// </summary>
internal static class VectorMath
{
    /// <summary>
    /// eˣ within 1 ulp, subnormal results included; 0 below −104, ∞ above 89, NaN for NaN.
    /// x = n·ln 2 + r with |r| ≤ ln 2 / 2; ln 2 in two parts (Cody and Waite), so that r is exact; eʳ by a polynomial (Cephes expf).
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Exp(Vector256<float> x)
    {
        // The clamp passes NaN on, since a comparison with NaN is false.
        Vector256<float> low = Vector256.Create(-105f), high = Vector256.Create(89f);
        x = Vector256.ConditionalSelect(Vector256.LessThan(x, low), low, x);
        x = Vector256.ConditionalSelect(Vector256.GreaterThan(x, high), high, x);

        // Adding 1.5·2^23 rounds to the nearest integer, and leaves it in the low bits as well.
        Vector256<float> shift = Vector256.Create(12582912f);
        Vector256<float> shifted = Vector256.FusedMultiplyAdd(x, Vector256.Create(1.44269504f), shift);
        Vector256<float> n = shifted - shift;
        Vector256<float> r = Vector256.FusedMultiplyAdd(n, Vector256.Create(-0.693359375f), x);
        r = Vector256.FusedMultiplyAdd(n, Vector256.Create(2.12194440e-4f), r);

        Vector256<float> p = Vector256.Create(1.9875691500e-4f);
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.3981999507e-3f));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(8.3334519073e-3f));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(4.1665795894e-2f));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(1.6666665459e-1f));
        p = Vector256.FusedMultiplyAdd(p, r, Vector256.Create(5.0000001201e-1f));
        p = Vector256.FusedMultiplyAdd(p, r * r, r) + Vector256.Create(1f);

        // 2ⁿ in two factors: n reaches −152 and 128, where a single one would be no float.
        Vector256<int> whole = shifted.AsInt32() - shift.AsInt32();
        Vector256<int> half = whole >> 1;
        return p * PowerOfTwo(half) * PowerOfTwo(whole - half);
    }

    /// <summary>
    /// tanh x within 3e-7 of its value, relatively; ±1 beyond 9.1, NaN for NaN. Near zero an odd polynomial (Cephes tanhf), else
    /// 1 − 2/(e²ˣ + 1), whose exponential cannot overflow because the argument is bounded first.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Tanh(Vector256<float> x)
    {
        Vector256<float> one = Vector256.Create(1f), bound = Vector256.Create(9.1f);
        Vector256<float> magnitude = Vector256.Abs(x);
        Vector256<float> bounded = Vector256.ConditionalSelect(Vector256.GreaterThan(magnitude, bound), bound, magnitude);
        Vector256<float> large = one - (Vector256.Create(2f) / (Exp(bounded + bounded) + one));

        Vector256<float> z = bounded * bounded;
        Vector256<float> p = Vector256.Create(-5.70498872745e-3f);
        p = Vector256.FusedMultiplyAdd(p, z, Vector256.Create(2.06390887954e-2f));
        p = Vector256.FusedMultiplyAdd(p, z, Vector256.Create(-5.37397155531e-2f));
        p = Vector256.FusedMultiplyAdd(p, z, Vector256.Create(1.33314422036e-1f));
        p = Vector256.FusedMultiplyAdd(p, z, Vector256.Create(-3.33332819422e-1f));
        Vector256<float> small = Vector256.FusedMultiplyAdd(p * z, bounded, bounded);

        Vector256<float> result = Vector256.ConditionalSelect(Vector256.LessThan(magnitude, Vector256.Create(0.625f)), small, large);
        return result | (x & Vector256.Create(-0f));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> PowerOfTwo(Vector256<int> n) => ((n + Vector256.Create(127)) << 23).AsSingle();
}
