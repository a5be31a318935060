using System.Globalization;

namespace LdlVk.SelfTest;

/// <summary>Comparisons of what a device computed with what it should have.</summary>
public static class ErrorBounds
{
    /// <summary>Unit roundoff of fp32: half a unit in the last place.</summary>
    public const double U = 1.0 / (1 << 24);

    /// <summary>
    /// Error of a sum of n terms in fp32 in any order, relative to the sum of magnitudes. The worst case, n·u, is never met by rounding
    /// errors that are as good as independent; λ√n·u is passed with probability 2·exp(−λ²/2) (Higham and Mary, 2019), and λ = 6 makes
    /// that 3·10⁻⁸.
    /// </summary>
    public static double Sum(int n) => ((6 * Math.Sqrt(n)) + 4) * U;

    /// <summary>Compares each element with its own bound. A result that is not finite is right only if the same was wanted.</summary>
    /// <returns>The largest error as a multiple of its bound, and the worst element in words where that is above 1.</returns>
    public static (double Worst, string? Fault) Close(Matrix got, double[] wanted, double[] bounds)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(got.Data.Length, wanted.Length);
        int worst = 0;
        double worstRatio = 0;
        for (int i = 0; i < wanted.Length; i++)
        {
            double ratio = Ratio(got.Data[i], wanted[i], bounds[i]);
            if (ratio > worstRatio) (worst, worstRatio) = (i, ratio);
        }

        return (worstRatio, worstRatio <= 1 ? null : string.Create(CultureInfo.InvariantCulture,
            $"element [{worst / got.Columns}, {worst % got.Columns}] is {got.Data[worst]:R}, wanted {wanted[worst]:R} ± {bounds[worst]:E2}"
            + $": {worstRatio:G3} times the bound"));
    }

    /// <summary>Compares the bits of each element.</summary>
    /// <returns>The first element with other bits in words; null if there is none.</returns>
    public static string? SameBits(Matrix got, Matrix wanted)
    {
        if ((wanted.Rows, wanted.Columns) != (got.Rows, got.Columns))
            return $"[{got.Rows}, {got.Columns}] instead of [{wanted.Rows}, {wanted.Columns}]";
        for (int i = 0; i < wanted.Data.Length; i++)
        {
            if (BitConverter.SingleToInt32Bits(got.Data[i]) == BitConverter.SingleToInt32Bits(wanted.Data[i])) continue;
            return string.Create(CultureInfo.InvariantCulture,
                $"element [{i / got.Columns}, {i % got.Columns}] is {got.Data[i]:R}, wanted the very bits of {wanted.Data[i]:R}");
        }

        return null;
    }

    private static double Ratio(float got, double wanted, double bound)
    {
        if (double.IsFinite(wanted) && float.IsFinite(got)) return Math.Abs(got - wanted) / bound;
        return got.Equals((float)wanted) ? 0 : double.PositiveInfinity;
    }
}
