namespace LdlVk.Evaluation.Benchmarks;

/// <summary>A line that is correct under one setting and wrong under the other.</summary>
/// <param name="Baseline">Its scores under the baseline.</param>
/// <param name="Candidate">Its scores under the candidate.</param>
public sealed record Flip(Example Baseline, Example Candidate)
{
    /// <summary>Whether the line is correct under the candidate.</summary>
    public bool IsGain => Candidate.IsRight;
}
