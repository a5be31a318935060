namespace LdlVk.Evaluation.Statistics;

/// <summary>Tests whether two settings are correct equally often, using the examples on which they differ.</summary>
public static class McNemar
{
    /// <summary>
    /// Returns the exact two-sided p-value (McNemar 1947, with the binomial distribution): the probability that at least as many of the
    /// changed examples change in one direction, if both directions are equally likely. 1 if none changed.
    /// </summary>
    public static double PValue(long gained, long lost)
    {
        long changed = gained + lost, fewer = Math.Min(gained, lost);
        // Terms of the binomial(changed, ½), by their logarithms: 2^-changed underflows from 1,075 on.
        double logTerm = -changed * Math.Log(2), sum = 0;
        for (long k = 0; k <= fewer; k++)
        {
            sum += Math.Exp(logTerm);
            logTerm += Math.Log((double)(changed - k) / (k + 1));
        }

        return Math.Min(1, 2 * sum);
    }
}
