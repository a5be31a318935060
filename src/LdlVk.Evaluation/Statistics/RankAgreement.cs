namespace LdlVk.Evaluation.Statistics;

/// <summary>
/// Rank correlations of two scorings of the same texts: 1 for the same order, −1 for the reverse order, NaN if all scores are equal.
/// </summary>
public static class RankAgreement
{
    /// <summary>Spearman's ρ: the correlation of the ranks, in which equal scores have their mean rank.</summary>
    public static double Spearman(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double[] x = Ranks(a), y = Ranks(b);
        double mean = (x.Length + 1) / 2.0, xy = 0, xx = 0, yy = 0;
        for (int i = 0; i < x.Length; i++)
        {
            double dx = x[i] - mean, dy = y[i] - mean;
            (xy, xx, yy) = (xy + (dx * dy), xx + (dx * dx), yy + (dy * dy));
        }

        return xy / Math.Sqrt(xx * yy);
    }

    /// <summary>
    /// Kendall's τ-b: concordant minus discordant pairs, divided by √(pairs unequal in a · pairs unequal in b). Runs in O(n log n)
    /// by counting the exchanges of a merge sort (Knight 1966).
    /// </summary>
    public static double KendallTauB(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        int n = a.Length;
        (float A, float B)[] pairs = new (float, float)[n];
        for (int i = 0; i < n; i++) pairs[i] = (a[i], b[i]);
        Array.Sort(pairs);
        long equalA = 0, equalBoth = 0, runA = 0, runBoth = 0;
        for (int i = 1; i < n; i++)
        {
            runA = pairs[i].A == pairs[i - 1].A ? runA + 1 : 0;
            runBoth = pairs[i] == pairs[i - 1] ? runBoth + 1 : 0;
            (equalA, equalBoth) = (equalA + runA, equalBoth + runBoth);
        }

        float[] second = [.. pairs.Select(p => p.B)];
        long exchanges = Sort(second, new float[n]), equalB = 0, runB = 0;
        for (int i = 1; i < n; i++)
        {
            runB = second[i] == second[i - 1] ? runB + 1 : 0;
            equalB += runB;
        }

        long all = (long)n * (n - 1) / 2;
        double sameLessOther = all - equalA - equalB + equalBoth - (2 * exchanges);
        return sameLessOther / Math.Sqrt((double)(all - equalA) * (all - equalB));
    }

    /// <summary>Sorts, and counts the inversions.</summary>
    private static long Sort(Span<float> values, Span<float> buffer)
    {
        if (values.Length < 2) return 0;
        int half = values.Length / 2;
        long exchanges = Sort(values[..half], buffer[..half]) + Sort(values[half..], buffer[half..]);
        int left = 0, right = half;
        for (int i = 0; i < values.Length; i++)
        {
            bool takeLeft = right == values.Length || (left < half && values[left] <= values[right]);
            if (!takeLeft) exchanges += half - left;
            buffer[i] = takeLeft ? values[left++] : values[right++];
        }

        buffer[..values.Length].CopyTo(values);
        return exchanges;
    }

    private static double[] Ranks(ReadOnlySpan<float> values)
    {
        float[] sorted = values.ToArray();
        int[] order = [.. Enumerable.Range(0, sorted.Length)];
        Array.Sort(sorted, order);
        double[] ranks = new double[sorted.Length];
        for (int start = 0; start < sorted.Length;)
        {
            int end = start + 1;
            while (end < sorted.Length && sorted[end] == sorted[start]) end++;
            // Places are counted from 1: the mean of start + 1 … end.
            for (int i = start; i < end; i++) ranks[order[i]] = (start + 1 + end) / 2.0;
            start = end;
        }

        return ranks;
    }
}
