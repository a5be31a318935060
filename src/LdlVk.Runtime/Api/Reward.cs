using System.Collections.Immutable;

namespace LdlVk;

/// <summary>What the model says of one text. Two rewards are equal if all their numbers are.</summary>
/// <param name="Score">
/// Higher is better. For an LDL model Σ Distribution · linspace(0, 1, bins); weights may be negative, so it is not bounded by 0 and 1.
/// For a process reward model the aggregate of <see cref="Steps"/>.
/// </param>
/// <param name="Tokens">Tokens of the text.</param>
/// <param name="Distribution">[bins] Σ over attributes of weight · rewards. Empty, as <paramref name="Rewards"/>, but for an LDL
/// model.</param>
/// <param name="Weights">[attributes] How much each attribute counts; empty for a model that gives the score alone.</param>
/// <param name="Rewards">[attributes · bins], bins fastest: each attribute's distribution over its bins, summing to 1.</param>
public sealed record Reward(
    float Score, int Tokens, ImmutableArray<float> Distribution, ImmutableArray<float> Weights, ImmutableArray<float> Rewards)
{
    /// <summary>
    /// How many of the <see cref="Tokens"/> were not computed because the prompt cache had them. It says nothing of the text: rewards that
    /// differ in it may be equal.
    /// </summary>
    public int CachedTokens { get; init; }

    /// <summary>Whether there is a distribution: an LDL model's.</summary>
    public bool HasDistribution => Distribution.Length > 0;

    /// <summary>Whether there are attributes with weights beside the score.</summary>
    public bool HasAttributes => Weights.Length > 0;

    /// <summary>Number of attributes.</summary>
    public int Attributes => Weights.Length;

    /// <summary>Number of bins.</summary>
    public int Bins => Distribution.Length;

    /// <summary>
    /// [attributes] The score of each attribute, of a model that gives one number for it: ArmoRM, URM, and QRM, where it is the mean of
    /// <see cref="Quantiles"/>. Without <see cref="AdjustedScores"/>, <see cref="Score"/> is Σ <see cref="Weights"/> · AttributeScores.
    /// </summary>
    public ImmutableArray<float> AttributeScores { get; init; } = [];

    /// <summary>
    /// [attributes] The scores behind the model's reward_transform_matrix, of ArmoRM and QRM-Llama: <see cref="Score"/> is Σ
    /// <see cref="Weights"/> · AdjustedScores. Empty for a model without such a matrix.
    /// </summary>
    public ImmutableArray<float> AdjustedScores { get; init; } = [];

    /// <summary>[attributes · quantiles], quantiles fastest: QRM's distribution of each attribute. Empty for other models.</summary>
    public ImmutableArray<float> Quantiles { get; init; } = [];

    /// <summary>[steps] The score of each step, from 0 to 1, of a process reward model; empty for other models.</summary>
    public ImmutableArray<float> Steps { get; init; } = [];

    /// <summary>[tokens] The score at each token of a text that is read at more than one; empty for others.</summary>
    public ImmutableArray<float> TokenScores { get; init; } = [];

    /// <summary>Number of quantiles of an attribute.</summary>
    public int QuantilesPerAttribute => Attributes == 0 ? 0 : Quantiles.Length / Attributes;

    /// <summary>The distribution of one attribute over its bins; empty but for an LDL model.</summary>
    public ReadOnlySpan<float> AttributeDistribution(int attribute) => Rewards.AsSpan(attribute * Bins, Bins);

    /// <summary>The quantiles of one attribute; empty but for QRM.</summary>
    public ReadOnlySpan<float> AttributeQuantiles(int attribute) =>
        Quantiles.AsSpan(attribute * QuantilesPerAttribute, QuantilesPerAttribute);

    /// <summary>
    /// The score of one attribute. For an LDL model the expected bin value, from 0 (bad) to 1 (good); else that of
    /// <see cref="AttributeScores"/>.
    /// </summary>
    public float AttributeScore(int attribute)
    {
        if (AttributeScores.Length > 0) return AttributeScores[attribute];
        float sum = 0;
        ReadOnlySpan<float> bins = AttributeDistribution(attribute);
        for (int b = 0; b < bins.Length; b++) sum += bins[b] * b / (bins.Length - 1);
        return sum;
    }

    /// <summary>This reward with the score that another aggregation of its steps gives.</summary>
    /// <exception cref="InvalidOperationException">It has no steps.</exception>
    public Reward Aggregated(StepAggregation aggregation)
    {
        if (Steps.Length == 0) throw new InvalidOperationException("The reward has no steps.");
        return this with { Score = (float)Aggregate(Steps.AsSpan(), aggregation) };
    }

    /// <summary>The aggregate of steps' scores, in double precision and in their order.</summary>
    internal static double Aggregate(ReadOnlySpan<float> steps, StepAggregation aggregation)
    {
        double value = aggregation is StepAggregation.Prod or StepAggregation.Min ? 1 : 0;
        foreach (float step in steps)
        {
            value = aggregation switch
            {
                StepAggregation.Prod => value * step,
                StepAggregation.Min => Math.Min(value, step),
                StepAggregation.Mean => value + step,
                _ => step,
            };
        }

        return aggregation == StepAggregation.Mean ? value / steps.Length : value;
    }

    /// <inheritdoc/>
    public bool Equals(Reward? other) =>
        other is not null && Score.Equals(other.Score) && Tokens == other.Tokens
            && Numbers.Zip(other.Numbers).All(pair => pair.First.AsSpan().SequenceEqual(pair.Second.AsSpan()));

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Score, Tokens, Attributes, Bins, Steps.Length);

    private IEnumerable<ImmutableArray<float>> Numbers =>
        [Distribution, Weights, Rewards, AttributeScores, AdjustedScores, Quantiles, Steps, TokenScores];
}
