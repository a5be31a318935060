using LdlVk.Evaluation.Statistics;

namespace LdlVk.Evaluation.Benchmarks;

/// <summary>A subset's score.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Section">Its section, in RewardBench v1; else null.</param>
/// <param name="Examples">Lines of it.</param>
/// <param name="Score">Accuracy; of the Ties subset <see cref="TiesScore.Overall"/>.</param>
/// <param name="Interval">Wilson's interval of the accuracy; null for the Ties subset, whose score is no share.</param>
public sealed record SubsetResult(string Name, string? Section, int Examples, double Score, Interval? Interval);

/// <summary>A section's score.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Examples">Lines of it.</param>
/// <param name="Score">Its score, <see cref="RewardBench.SectionScore"/>.</param>
public sealed record SectionResult(string Name, int Examples, double Score);
