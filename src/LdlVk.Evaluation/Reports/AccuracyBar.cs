using LdlVk.Evaluation.Statistics;

namespace LdlVk.Evaluation.Reports;

/// <summary>A bar of <see cref="AccuracyChart"/>.</summary>
/// <param name="Name">The label.</param>
/// <param name="Share">The accuracy, from 0 to 1.</param>
/// <param name="Interval">Its confidence interval; null if it has none.</param>
/// <param name="Note">Text after the percentage: the number of examples.</param>
/// <param name="IsSection">Whether the bar is the total of the bars below it.</param>
internal sealed record AccuracyBar(string Name, double Share, Interval? Interval, string Note, bool IsSection = false);
