namespace LdlVk.Evaluation.Statistics;

/// <summary>Calibration of σ(score A − score B) as the probability that A is better (Bradley-Terry).</summary>
/// <param name="Bins">Ten bins from ½ to 1.</param>
/// <param name="ExpectedError">Expected calibration error: Σ count/all · |accuracy − confidence| over the bins (Naeini et al.
/// 2015).</param>
/// <param name="Brier">Mean of (1 − σ(chosen − rejected))².</param>
/// <param name="LogLoss">Mean of −ln σ(chosen − rejected): the loss reward models are trained with.</param>
public sealed record Calibration(IReadOnlyList<CalibrationBin> Bins, double ExpectedError, double Brier, double LogLoss)
{
    private const int BinCount = 10;

    /// <summary>Computes the calibration of pairs.</summary>
    /// <param name="margins">Score of the chosen response minus that of the rejected one, for each pair.</param>
    public static Calibration Of(IEnumerable<double> margins)
    {
        long[] counts = new long[BinCount];
        double[] confidence = new double[BinCount], correct = new double[BinCount];
        double brier = 0, loss = 0;
        long all = 0;
        foreach (double margin in margins)
        {
            double sure = 1 / (1 + Math.Exp(-Math.Abs(margin)));
            int bin = Math.Min(BinCount - 1, (int)((sure - 0.5) * 2 * BinCount));
            counts[bin]++;
            confidence[bin] += sure;
            correct[bin] += margin > 0 ? 1 : margin < 0 ? 0 : 0.5;
            double wrong = 1 / (1 + Math.Exp(margin));
            brier += wrong * wrong;
            // −ln σ(m) = ln(1 + e^−m), without overflow for a large −m.
            loss += margin > 0 ? LogOnePlus(Math.Exp(-margin)) : LogOnePlus(Math.Exp(margin)) - margin;
            all++;
        }

        CalibrationBin[] bins = [.. Enumerable.Range(0, BinCount).Select(i => new CalibrationBin(
            0.5 + (0.5 * i / BinCount), 0.5 + (0.5 * (i + 1) / BinCount), counts[i], confidence[i] / counts[i], correct[i]))];
        double error = bins.Where(b => b.Count > 0).Sum(b => (double)b.Count / all * Math.Abs(b.Accuracy - b.Confidence));
        return new Calibration(bins, error, brier / all, loss / all);
    }

    /// <summary>ln(1 + x), accurate for small x.</summary>
    private static double LogOnePlus(double x) => x < 1e-5 ? x - (x * x / 2) : Math.Log(1 + x);
}
