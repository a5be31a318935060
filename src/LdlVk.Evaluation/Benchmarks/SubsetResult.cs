using LdlVk.Evaluation.Statistics;

namespace LdlVk.Evaluation.Benchmarks;

/// <summary>A subset's score.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Section">Its section in RewardBench v1; otherwise null.</param>
/// <param name="Examples">Number of its lines.</param>
/// <param name="Score">The accuracy; for the Ties subset <see cref="TiesScore.Overall"/>.</param>
/// <param name="Interval">Wilson's interval of the accuracy; null for the Ties subset, whose score is not a proportion.</param>
public sealed record SubsetResult(string Name, string? Section, int Examples, double Score, Interval? Interval);

/// <summary>A section's score.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Examples">Number of its lines.</param>
/// <param name="Score">Its score, <see cref="RewardBench.SectionScore"/>.</param>
public sealed record SectionResult(string Name, int Examples, double Score);
