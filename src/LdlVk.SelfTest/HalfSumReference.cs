using LdlVk.Runtime.Devices;

namespace LdlVk.SelfTest;

/// <summary>
/// Linear with sums in fp16 (<see cref="SumFormat.Fp16"/>): its formula in double, and what rounding the sums may cost. Units round as they
/// like, so there are no prescribed bits; a kernel that takes a wrong element errs by about √K times an element, which is 20 to 60 times
/// the bound.
/// </summary>
public static class HalfSumReference
{
    /// <summary>Deviation of test weights that lie in fp16 where those of a checkpoint do, and the scale that takes it back.</summary>
    public const double Deviation = 4000;

    /// <inheritdoc cref="Deviation"/>
    public const float Scale = 1f / 4096;

    private const int Group = WeightLayout.GroupSize;

    /// <summary>Relative error of rounding to 11 bits.</summary>
    private const double U = 1.0 / (1 << 11);

    /// <summary>The least normal half: devices may flush what is smaller.</summary>
    private const double LeastNormal = 1.0 / (1 << 14);

    /// <summary>Values of <see cref="IDevice.Linear"/> with sums in fp16, and their bounds.</summary>
    public static (double[] Values, double[] Bounds) Linear(Matrix x, TestWeight w, Matrix? bias, Activation activation)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(w);
        (double[] values, double[] bounds) = Reference64.Linear(x, w, bias, activation, U);
        for (int m = 0; m < x.Rows; m++)
        {
            double largest = 0, sumX = 0;
            for (int k = 0; k < x.Columns; k++)
            {
                largest = Math.Max(largest, Math.Abs(x[m, k]));
                sumX += Math.Abs(x[m, k]);
            }

            // A unit of scaled rows and weights, in those of the result.
            double unitX = largest == 0 ? 0 : Math.ScaleB(1, Math.ILogB(largest) - 5), unitW = 2048 * w.Scale;
            for (int n = 0; n < w.OutputFeatures; n++)
            {
                double slope = activation == Activation.Selu ? 1.76 : 1;
                bounds[(m * w.OutputFeatures) + n] += slope * Roundings(x, m, w, n, unitX, unitW, sumX);
            }
        }

        return (values, bounds);
    }

    /// <summary>
    /// Up to 32 roundings a group, each by a unit of the sum so far, which is about the root of the products' squares; as good as
    /// independent, with λ = 6 as in <see cref="ErrorBounds.Sum"/>. And what underflow may take from operands and sums.
    /// </summary>
    private static double Roundings(Matrix x, int m, TestWeight w, int n, double unitX, double unitW, double sumX)
    {
        double squares = 0, sumW = 0;
        for (int k = 0; k < x.Columns; k++)
        {
            double product = x[m, k] * w[n, k];
            squares += product * product;
            sumW += Math.Abs(w[n, k]);
        }

        int groups = (x.Columns + Group - 1) / Group;
        double underflow = LeastNormal * ((unitW * sumX) + (unitX * sumW) + (groups * unitX * unitW * Group));
        return (6 * U * Math.Sqrt(Group * squares)) + underflow;
    }
}
