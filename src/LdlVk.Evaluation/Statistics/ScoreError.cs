namespace LdlVk.Evaluation.Statistics;

/// <summary>Errors of scores relative to those of a baseline.</summary>
/// <param name="Texts">Number of scores.</param>
/// <param name="Bias">Mean difference, with its sign.</param>
/// <param name="Mean">Mean absolute difference.</param>
/// <param name="Rms">Root of the mean squared difference.</param>
/// <param name="Largest">Largest absolute difference.</param>
/// <param name="Spread">Standard deviation of the baseline's scores.</param>
public sealed record ScoreError(int Texts, double Bias, double Mean, double Rms, double Largest, double Spread)
{
    /// <summary><see cref="Rms"/> divided by <see cref="Spread"/>: the error relative to typical score differences.</summary>
    public double Relative => Rms / Spread;

    /// <summary>Compares scores with those of the baseline, text by text.</summary>
    public static ScoreError Between(ReadOnlySpan<float> baseline, ReadOnlySpan<float> scores)
    {
        double sum = 0, absolute = 0, squares = 0, largest = 0, baselineSum = 0, spread = 0;
        for (int i = 0; i < scores.Length; i++)
        {
            double error = (double)scores[i] - baseline[i];
            (sum, absolute, squares) = (sum + error, absolute + Math.Abs(error), squares + (error * error));
            largest = Math.Max(largest, Math.Abs(error));
            baselineSum += baseline[i];
        }

        int n = Math.Max(scores.Length, 1);
        foreach (float score in baseline) spread += Math.Pow(score - (baselineSum / n), 2);
        return new ScoreError(scores.Length, sum / n, absolute / n, Math.Sqrt(squares / n), largest, Math.Sqrt(spread / n));
    }
}
