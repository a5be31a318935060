using System.Globalization;
using Xunit;

namespace LdlVk.Testing;

/// <summary>Comparisons that say where they fail: the worst element, what was got, wanted, and allowed.</summary>
public static class Check
{
    /// <summary>Unit roundoff of fp32: half a unit in the last place.</summary>
    public const double U = 1.0 / (1 << 24);

    /// <summary>
    /// Error of a sum of n terms in fp32 in any order, relative to the sum of magnitudes. The worst case, n·u, is never met by rounding errors
    /// that are as good as independent; λ√n·u is passed with probability 2·exp(−λ²/2) (Higham and Mary, 2019), and λ = 6 makes that 3·10⁻⁸.
    /// </summary>
    public static double Sum(int n) => ((6 * Math.Sqrt(n)) + 4) * U;

    /// <summary>Every element within its own bound. A result that is not finite passes only if the same was wanted.</summary>
    public static void Close(string what, Matrix got, double[] wanted, double[] bounds)
    {
        Assert.Equal(wanted.Length, got.Data.Length);
        int worst = -1;
        double worstRatio = 1;
        for (int i = 0; i < wanted.Length; i++)
        {
            double ratio = Ratio(got.Data[i], wanted[i], bounds[i]);
            if (ratio > worstRatio) (worst, worstRatio) = (i, ratio);
        }
        if (worst < 0) return;
        Assert.Fail(string.Create(CultureInfo.InvariantCulture,
            $"{what}: element [{worst / got.Columns}, {worst % got.Columns}] is {got.Data[worst]:R}, wanted {wanted[worst]:R} ± {bounds[worst]:E2}: {worstRatio:G3} times the bound"));
    }

    /// <summary>The same bits.</summary>
    public static void SameBits(string what, Matrix got, Matrix wanted)
    {
        Assert.Equal((wanted.Rows, wanted.Columns), (got.Rows, got.Columns));
        for (int i = 0; i < wanted.Data.Length; i++)
        {
            if (BitConverter.SingleToInt32Bits(got.Data[i]) == BitConverter.SingleToInt32Bits(wanted.Data[i])) continue;
            Assert.Fail(string.Create(CultureInfo.InvariantCulture,
                $"{what}: element [{i / got.Columns}, {i % got.Columns}] is {got.Data[i]:R}, wanted the very bits of {wanted.Data[i]:R}"));
        }
    }

    private static double Ratio(float got, double wanted, double bound)
    {
        if (double.IsFinite(wanted) && float.IsFinite(got)) return Math.Abs(got - wanted) / bound;
        return got.Equals((float)wanted) ? 0 : double.PositiveInfinity;
    }
}
