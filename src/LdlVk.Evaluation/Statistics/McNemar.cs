namespace LdlVk.Evaluation.Statistics;

/// <summary>Whether two settings are right equally often, judged by the examples on which they differ.</summary>
public static class McNemar
{
    /// <summary>
    /// The exact two-sided p-value (McNemar 1947, by the binomial distribution): how often as many of the examples that changed, or more,
    /// would have changed to one side, were both sides equally likely. 1 if none changed.
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
