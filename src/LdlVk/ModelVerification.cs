namespace LdlVk;

/// <summary>A published score beside the one that the weights at hand give.</summary>
/// <param name="Published">The published score and its conversation.</param>
/// <param name="Score">The score here; NaN if the conversation could not be scored.</param>
/// <param name="Tolerance">The largest difference that the arithmetic of the two runs explains.</param>
/// <param name="Error">Why the conversation could not be scored; null if it was.</param>
public sealed record VerifiedScore(PublishedScore Published, double Score, double Tolerance, Notice? Error)
{
    /// <summary>How far off the score is.</summary>
    public double Difference => Math.Abs(Score - Published.Score);

    /// <summary>Whether the difference is within the tolerance.</summary>
    public bool Passes => Error is null && Difference <= Tolerance;
}

/// <summary>Scores a known model's published examples.</summary>
public static class ModelVerification
{
    /// <summary>
    /// Errors of weight formats as multiples of a bf16 run's error: the largest of the goldens (docs/accuracy.md).
    /// </summary>
    private const double Fp16Weights = 0.05, Int8Weights = 3.3, Int4Weights = 15;

    /// <summary>Returns the published scores of a model beside those of a loaded one.</summary>
    public static IReadOnlyList<VerifiedScore> Run(KnownModel known, RewardModel model)
    {
        ArgumentNullException.ThrowIfNull(known);
        ArgumentNullException.ThrowIfNull(model);
        double largest = known.Examples.Count == 0 ? 0 : known.Examples.Max(example => Math.Abs(example.Score));
        int layers = known.Shape?.Layers ?? 1;
        return [.. known.Examples.Select(example => Score(example, Tolerance(example, largest, layers, model.Weights), model))];
    }

    /// <summary>
    /// The largest difference of scores that arithmetic explains. A run in bf16 rounds the residual stream behind each half of a layer, by
    /// up to 2⁻⁹ of its size; the roundings are independent, so that L layers add up to √(2L)·2⁻⁹ of the size of the model's scores, of
    /// which the largest published one is the measure. fp16 rounds by an eighth of that. The weights' format here adds its own error, and
    /// the printed score is rounded to its format.
    /// </summary>
    /// <param name="example">The published score.</param>
    /// <param name="largest">The largest magnitude of the model's published scores.</param>
    /// <param name="layers">Number of layers.</param>
    /// <param name="weights">Format of the weights here.</param>
    public static double Tolerance(PublishedScore example, double largest, int layers, WeightFormat weights)
    {
        ArgumentNullException.ThrowIfNull(example);
        bool isBf16 = example.Precision == PublishedPrecision.Bf16;
        double unit = largest * Math.Sqrt(2 * layers) / 512;
        double theirs = isBf16 ? 1 : 1.0 / 8;
        double ours = weights switch
        {
            WeightFormat.Fp32 => 0,
            WeightFormat.Fp16 => Fp16Weights,
            WeightFormat.Int8 => Int8Weights,
            _ => Int4Weights,
        };
        double printed = Math.Abs(example.Score) * (isBf16 ? 1.0 / 256 : 1.0 / 2048);
        return (unit * (theirs + ours)) + printed;
    }

    private static VerifiedScore Score(PublishedScore example, double tolerance, RewardModel model)
    {
        try
        {
            return new VerifiedScore(example, model.Score(example.Conversation).Score, tolerance, null);
        }
        catch (InputException e)
        {
            return new VerifiedScore(example, double.NaN, tolerance, e.Notice);
        }
    }
}
