namespace LdlVk.Evaluation.Statistics;

/// <summary>A 95 % confidence interval.</summary>
/// <param name="Low">Its lower end.</param>
/// <param name="High">Its upper end.</param>
public readonly record struct Interval(double Low, double High)
{
    /// <summary>The standard normal's 97.5 % quantile.</summary>
    private const double Z = 1.959963984540054;

    /// <summary>
    /// Wilson's score interval of a share (Wilson 1927): unlike p ± 1.96·√(p(1−p)/n), it is accurate with few examples and near 0 and
    /// 1.
    /// </summary>
    /// <param name="successes">Number of successes; fractional if several responses share the first place.</param>
    /// <param name="count">Number of examples; with none, the share may have any value.</param>
    public static Interval Wilson(double successes, long count)
    {
        if (count == 0) return new Interval(0, 1);
        double n = count, p = successes / n, z2 = Z * Z;
        double centre = (p + (z2 / (2 * n))) / (1 + (z2 / n));
        double half = Z / (1 + (z2 / n)) * Math.Sqrt((p * (1 - p) / n) + (z2 / (4 * n * n)));
        return new Interval(Math.Max(0, centre - half), Math.Min(1, centre + half));
    }

    /// <summary>
    /// Tango's score interval for the difference of two shares of the same examples (Tango, Statistics in Medicine 17, 1998): the
    /// differences that the score test would not reject. It is valid even if no example changed, for which the bootstrap gives [0, 0].
    /// </summary>
    /// <param name="gained">Number of examples that are successes only in the second share.</param>
    /// <param name="lost">Number of examples that are successes only in the first share.</param>
    /// <param name="count">Number of all examples; with none, the difference may have any value.</param>
    /// <returns>The interval of the second share minus the first.</returns>
    public static Interval PairedDifference(long gained, long lost, long count)
    {
        if (count == 0) return new Interval(-1, 1);
        return new Interval(Solve(Z), Solve(-Z));

        // The statistic decreases with the difference.
        double Solve(double target)
        {
            double low = -1, high = 1;
            for (int i = 0; i < 100; i++)
            {
                double middle = (low + high) / 2;
                if (Statistic(middle) > target) low = middle;
                else high = middle;
            }

            return (low + high) / 2;
        }

        double Statistic(double difference)
        {
            double n = count, b = gained, c = lost, d = difference;
            // The maximum-likelihood share of lost examples, given this difference: the root of the score equation.
            double linear = ((2 * n) - b + c) * d - b - c, constant = -c * d * (1 - d);
            double share = (Math.Sqrt(Math.Max(0, (linear * linear) - (8 * n * constant))) - linear) / (4 * n);
            double variance = n * ((2 * share) + (d * (1 - d)));
            double excess = b - c - (n * d);
            return variance > 0 ? excess / Math.Sqrt(variance) : excess == 0 ? 0 : excess * double.PositiveInfinity;
        }
    }
}
