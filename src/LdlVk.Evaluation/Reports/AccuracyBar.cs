using LdlVk.Evaluation.Statistics;

namespace LdlVk.Evaluation.Reports;

/// <summary>A bar of <see cref="AccuracyChart"/>.</summary>
/// <param name="Name">What it is of.</param>
/// <param name="Share">From 0 to 1.</param>
/// <param name="Interval">Its confidence interval; null if it has none.</param>
/// <param name="Note">Behind the figure: the number of examples.</param>
/// <param name="IsSection">Whether it sums up the bars below it.</param>
internal sealed record AccuracyBar(string Name, double Share, Interval? Interval, string Note, bool IsSection = false);
