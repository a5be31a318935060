using System.Collections.Immutable;

namespace LdlVk;

/// <summary>What the model says of one text. Two rewards are equal if all their numbers are.</summary>
/// <param name="Score">
/// Higher is better. For an LDL model Σ Distribution · linspace(0, 1, bins); weights may be negative, so it is not bounded by 0 and 1.
/// </param>
/// <param name="Tokens">Tokens of the text.</param>
/// <param name="Distribution">[bins] Σ over attributes of weight · rewards. Empty, as the next two, for a model that gives the score
/// alone.</param>
/// <param name="Weights">[attributes] How much each attribute counts.</param>
/// <param name="Rewards">[attributes · bins], bins fastest: each attribute's distribution over its bins, summing to 1.</param>
public sealed record Reward(
    float Score, int Tokens, ImmutableArray<float> Distribution, ImmutableArray<float> Weights, ImmutableArray<float> Rewards)
{
    /// <summary>Whether there is more than the score: a distribution, and attributes.</summary>
    public bool HasDistribution => Distribution.Length > 0;

    /// <summary>Number of attributes.</summary>
    public int Attributes => Weights.Length;

    /// <summary>Number of bins.</summary>
    public int Bins => Distribution.Length;

    /// <summary>The distribution of one attribute over its bins.</summary>
    public ReadOnlySpan<float> AttributeDistribution(int attribute) => Rewards.AsSpan(attribute * Bins, Bins);

    /// <summary>The expected bin value of one attribute, from 0 (bad) to 1 (good).</summary>
    public float AttributeScore(int attribute)
    {
        float sum = 0;
        ReadOnlySpan<float> bins = AttributeDistribution(attribute);
        for (int b = 0; b < bins.Length; b++) sum += bins[b] * b / (bins.Length - 1);
        return sum;
    }

    /// <inheritdoc/>
    public bool Equals(Reward? other) =>
        other is not null && Score.Equals(other.Score) && Tokens == other.Tokens
            && Distribution.AsSpan().SequenceEqual(other.Distribution.AsSpan())
        && Weights.AsSpan().SequenceEqual(other.Weights.AsSpan()) && Rewards.AsSpan().SequenceEqual(other.Rewards.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Score, Tokens, Attributes, Bins);
}
