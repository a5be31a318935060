namespace LdlVk.Evaluation.Statistics;

/// <summary>A bin of pairs with similar confidence.</summary>
/// <param name="From">Lower end of the bin, of P(preferred ≻ other) = σ(|score difference|).</param>
/// <param name="To">Its upper end.</param>
/// <param name="Count">Number of pairs in the bin.</param>
/// <param name="Confidence">Their mean probability; NaN if there are none.</param>
/// <param name="Correct">Number of pairs whose preferred response was the chosen one; equal scores count ½.</param>
public sealed record CalibrationBin(double From, double To, long Count, double Confidence, double Correct)
{
    /// <summary>Share of the pairs in which the preferred response was the chosen one.</summary>
    public double Accuracy => Correct / Count;
}
