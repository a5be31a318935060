using LdlVk.Evaluation.Benchmarks;
using LdlVk.Evaluation.Statistics;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Evaluation.Reports;

/// <summary>The HTML report of <c>ldlvk fidelity</c>.</summary>
public static class FidelityReport
{
    /// <summary>Maximum number of flips shown per candidate.</summary>
    private const int MaxFlips = 100;

    /// <summary>Writes the report.</summary>
    /// <param name="all">The comparison.</param>
    /// <param name="input">Name of the dataset.</param>
    /// <param name="output">Receives the page as UTF-8.</param>
    public static void Write(SettingRuns all, string input, Stream output)
    {
        ReportPage page = new(
            $"Fidelity on {Path.GetFileName(input)}",
            $"{Readable.Plural(all.Lines, "line")}, each scored under {Readable.Plural(all.Runs.Count, "setting")}");
        page.Facts(
            all.Comparisons.Select(
                (c, i) => (Readable.Count(c.Flips.Count), $"of {Readable.Plural(c.Lines, "line")} flip with {all.Runs[i + 1].Name}")));
        page.Section(
            "Settings",
            $"Compared with the baseline, {all.Runs[0].Name}. Intervals: Wilson's of an accuracy; "
                + "Tango's score interval of its change on the same lines, with the exact McNemar test.");
        page.Table(["", .. all.Runs.Select(r => r.Name)],
            [Row("runs on", all.Runs.Select(r => r.Used)), .. FidelityRows.Of(all).Select(r => Row(r.Name.Trim(), r.Values))]);
        page.Section("Accuracy", "Lines in which every chosen response scores above every rejected one, with Wilson's 95 % intervals.");
        page.Card(
            AccuracyChart.Draw(
                [
                    .. all.Results.Select(
                        (r, i) => new AccuracyBar(
                            all.Runs[i].Name, r.Accuracy, Interval.Wilson(r.Right, r.Examples.Count), Readable.Count(r.Examples.Count)))],
                chance: null));
        for (int i = 0; i < all.Comparisons.Count && all.Lines > 0; i++) Candidate(page, all, i);
        if (all.Results[0].Subsets.Count > 1) Subsets(page, all);
        Failures(page, all);
        page.Add(Html.Of($"<footer>Made by <code>ldlvk fidelity</code> from <code>{input}</code>.</footer>"));
        page.Write(output);
    }

    private static Html[] Row(string name, IEnumerable<string> values) =>
        [ReportPage.Cell(name), .. values.Select(v => ReportPage.Cell(v))];

    private static void Candidate(ReportPage page, SettingRuns all, int index)
    {
        Fidelity comparison = all.Comparisons[index];
        SettingRun run = all.Runs[index + 1];
        if (comparison.Error.Largest == 0)
        {
            page.Section(
                run.Name, $"All {Readable.Plural(comparison.Error.Texts, "score")} are bitwise equal to those of the baseline.");
            return;
        }

        float[] expected = Fidelity.Scores(all.Runs[0].Examples), actual = Fidelity.Scores(run.Examples);
        page.Section(
            run.Name,
            $"Errors of {Readable.Plural(comparison.Error.Texts, "score")}, whose spread (standard deviation) is "
                + $"{Figures.Number(comparison.Error.Spread, "0.##")}.");
        page.Card(
            HistogramChart.Draw(
                Histogram.Of([.. actual.Zip(expected, (a, e) => (double)a - e)]),
                $"score with {run.Name} − score with {all.Runs[0].Name}",
                negativeIsBad: false));
        if (comparison.Flips.Count == 0) return;
        page.Table(["flips", "subset", "margin before", "margin after", ""], comparison.Flips.Take(MaxFlips).Select(f => (Html[])
        [
            ReportPage.Cell(Figures.Id(f.Baseline.Id)), ReportPage.Cell(f.Baseline.Subset), ReportPage.Cell(Figures.Margin(f.Baseline)),
                ReportPage.Cell(Figures.Margin(f.Candidate)),
            ReportPage.Cell(f.IsGain ? "to right" : "to wrong", f.IsGain ? "gained" : "lost"),
        ]));
        if (comparison.Flips.Count > MaxFlips)
            page.Add(
                Html.Of(
                    $"<p class=\"note\">And {Readable.Count(comparison.Flips.Count - MaxFlips)} more, which the comparison as JSON "
                        + $"has.</p>"));
    }

    private static void Subsets(ReportPage page, SettingRuns all)
    {
        page.Section("Subsets", "Accuracy of each subset under each setting.");
        page.Table(["", "lines", .. all.Runs.Select(r => r.Name)], all.Results[0].Subsets.Select((subset, s) => (Html[])
        [
            ReportPage.Cell(subset.Name), ReportPage.Cell(Readable.Count(subset.Examples)),
            .. all.Results.Select(
                r => ReportPage.Cell(
                    Figures.Percent(r.Subsets[s].Score),
                    r.Subsets[s].Score > subset.Score ? "gained" : r.Subsets[s].Score < subset.Score ? "lost" : "")),
        ]));
    }

    private static void Failures(ReportPage page, SettingRuns all)
    {
        FailedLine[] failures = [.. all.Runs.SelectMany(r => r.Failures).DistinctBy(f => f.Number).OrderBy(f => f.Number).Take(MaxFlips)];
        if (failures.Length == 0) return;
        page.Section("Left out", "Lines that could not be scored under every setting count nowhere above. The first of them:");
        page.Table(
            ["line, from 0", "reason"],
            failures.Select(f => (Html[])[ReportPage.Cell(Readable.Count(f.Number)), ReportPage.Cell(f.Error, "left")]));
    }
}
