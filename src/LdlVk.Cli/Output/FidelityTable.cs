using LdlVk.Evaluation.Benchmarks;
using LdlVk.Evaluation.Reports;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Output;

/// <summary>Shows a comparison of settings as a table on the screen.</summary>
internal static class FidelityTable
{
    /// <summary>Maximum number of listed flips per candidate.</summary>
    private const int MaxFlips = 20;

    /// <summary>Shows the figures of all settings, then the pairs that flip.</summary>
    public static void Show(SettingRuns all, Screen screen)
    {
        (string Name, string[] Values)[] rows = [("", [.. all.Runs.Select(r => r.Name)]), .. FidelityRows.Of(all)];
        int[] widths = [.. Enumerable.Range(0, all.Runs.Count).Select(i => rows.Max(r => Readable.OneLine(r.Values[i], 40).Length))];
        foreach ((string name, string[] values) in rows)
            screen.Line(
                Screen.Safe(
                    name.PadRight(23) + string.Concat(
                        values.Select((v, i) => "  " + Readable.OneLine(v, 40).PadLeft(widths[i])))).TrimEnd());
        for (int i = 0; i < all.Comparisons.Count; i++)
        {
            Fidelity comparison = all.Comparisons[i];
            if (comparison.Flips.Count == 0) continue;
            screen.Line();
            screen.Line($"[bold]{Screen.Safe(Readable.OneLine(all.Runs[i + 1].Name, 60))}[/] flips, margin before and after:");
            foreach (Flip flip in comparison.Flips.Take(MaxFlips))
                screen.Line(
                    Screen.Safe(
                        $"  {Figures.Margin(flip.Baseline),9} → {Figures.Margin(flip.Candidate),9}  "
                            + $"{(flip.IsGain ? "to right" : "to wrong")}  {Figures.Id(flip.Baseline.Id)}  "
                            + $"{Readable.OneLine(flip.Baseline.Subset, 30)}"));
            if (comparison.Flips.Count > MaxFlips)
                screen.Line($"  and {Readable.Count(comparison.Flips.Count - MaxFlips)} more; --json has them all.");
        }
    }
}
