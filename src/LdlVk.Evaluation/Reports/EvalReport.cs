using LdlVk.Evaluation.Benchmarks;
using LdlVk.Evaluation.Statistics;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Evaluation.Reports;

/// <summary>The HTML report of <c>ldlvk eval</c>.</summary>
public static class EvalReport
{
    /// <summary>Maximum number of failed lines that are shown.</summary>
    private const int MaxFailures = 100;

    /// <summary>Writes the report.</summary>
    /// <param name="findings">The result of the evaluation.</param>
    /// <param name="output">Receives the page as UTF-8.</param>
    public static void Write(EvalFindings findings, Stream output)
    {
        EvalResult result = findings.Result;
        string model = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(findings.Model)));
        ReportPage page = new(
            $"{model} on {Path.GetFileName(findings.Input)}",
            $"{findings.Setting} · {Readable.Plural(result.Examples.Count + findings.Failed, "line")}");
        page.Facts(Facts(findings));
        if (findings.Incomplete is { } incomplete) page.Card(Html.Of($"{incomplete}"));
        if (result.Examples.Count > 0)
        {
            Accuracy(page, result);
            Margins(page, findings);
            SubScores(page, findings);
            Misses(page, findings);
        }

        Failures(page, findings);
        string input = findings.InputDigest is { } digest ? $"{findings.Input} (SHA-256 {digest})" : findings.Input;
        string settings = findings.Provenance.Length > 0 ? $"Settings: {findings.Provenance}." : "";
        page.Add(
            Html.Of(
                $"<footer>Made by <code>ldlvk eval</code> from <code>{findings.Model}</code> and "
                + $"<code>{input}</code>. {settings}</footer>"));
        page.Write(output);
    }

    private static IEnumerable<(string, string)> Facts(EvalFindings findings)
    {
        EvalResult result = findings.Result;
        if (result.Benchmark != Benchmark.Pairs) yield return (Figures.Percent(result.Score), findings.ScoreName);
        Interval range = Interval.Wilson(result.Right, result.Examples.Count);
        yield return (
            Figures.Percent(result.Accuracy),
            $"of {Readable.Plural(result.Examples.Count, "line")} right; 95 %: "
                + $"{Figures.Percent(range.Low)} to {Figures.Percent(range.High)}");
        yield return (Readable.Count(result.Examples.Count - result.Right), "misses: a rejected response at or above a chosen one");
        yield return (
            Figures.Number(findings.Calibration.ExpectedError, "0.000"), "calibration error: 0 where σ(difference) is a true probability");
        if (findings.Failed > 0) yield return (Readable.Count(findings.Failed), "lines could not be scored and are left out");
        if (findings.EqualByTruncation > 0)
            yield return (Readable.Count(findings.EqualByTruncation), "misses whose responses differ only in what was truncated");
    }

    private static void Accuracy(ReportPage page, EvalResult result)
    {
        string whiskers = "Whiskers are Wilson's 95 % intervals.";
        page.Section("Accuracy", result.Benchmark switch
        {
            Benchmark.RewardBench1 =>
                "A pair counts if the chosen response scores above the rejected one. "
                    + $"Sections (dark) weigh their subsets by the published numbers of examples. {whiskers}",
            Benchmark.RewardBench2 =>
                "A line counts if its one right response scores best; k that share the first place count 1/k. "
                    + $"Ties has a score of its own, with accuracy and margins. {whiskers}",
            Benchmark.RmBench =>
                "Each of three chosen styles is compared with each of three rejected ones: easy (dark) where the rejected one is plainer, "
                    + "hard where the chosen one is. The score is the mean of the domains; the two parts of safety are one.",
            Benchmark.PpeCorrectness =>
                "Of each prompt, pairs of a right and a wrong response were sampled. A pair counts if the right one scores above the wrong "
                    + "one; a line is right if all of its pairs are.",
            _ => $"A pair counts if the chosen response scores above the rejected one. {whiskers}",
        });
        double? chance = result.Benchmark == Benchmark.RewardBench2 ? null : 0.5;
        page.Card(AccuracyChart.Draw([.. Bars(result)], chance));
        if (result.Ties is not { } ties) return;
        double[] figures = [ties.Overall, ties.TiedAccuracy, ties.ReferenceAccuracy, ties.Preferred, ties.PreferredHard, ties.MarginScore];
        page.Table(["Ties", "score", "tied right", "reference right", "gap > spread", "both gaps > spread", "margin"],
            [[
                ReportPage.Cell(Readable.Plural(ties.Prompts, "prompt")),
                .. figures.Select(v => ReportPage.Cell(Figures.Number(v, "0.000"))),
            ]]);
    }

    private static IEnumerable<AccuracyBar> Bars(EvalResult result)
    {
        foreach (SectionResult section in result.Sections)
        {
            yield return new AccuracyBar(section.Name, section.Score, null, Readable.Count(section.Examples), IsSection: true);
            foreach (SubsetResult subset in result.Subsets.Where(s => s.Section == section.Name)) yield return Bar(subset);
        }

        foreach (SubsetResult subset in result.Subsets.Where(s => s.Section is null)) yield return Bar(subset);

        static AccuracyBar Bar(SubsetResult subset) => new(subset.Name, subset.Score, subset.Interval, Readable.Count(subset.Examples));
    }

    private static void Margins(ReportPage page, EvalFindings findings)
    {
        EvalResult result = findings.Result;
        page.Section(
            "Margins",
            "Score of the chosen response minus that of the rejected one; with several, the lowest chosen and the highest rejected score. "
                + "The model is wrong for values at or below zero.");
        page.Card(
            HistogramChart.Draw(
                Histogram.Of([.. result.Examples.Select(e => e.Margin)]), "score of chosen − score of rejected", negativeIsBad: true));
        page.Section(
            "Calibration",
            "If score differences were log-odds of people's preferences (Bradley-Terry), the points would lie on the dashed line: "
                + "of the pairs with 80 % confidence, 80 % would be right.");
        Calibration calibration = findings.Calibration;
        Html bins = Html.Join(calibration.Bins.Where(b => b.Count > 0).Select(b => Html.Of($"""
            <tr><td>{b.From * 100:0}–{b.To * 100:0} %</td>{ReportPage.Cell(Readable.Count(b.Count))}
            {ReportPage.Cell(Figures.Percent(b.Accuracy))}{ReportPage.Cell(Figures.Percent(b.Confidence))}</tr>

            """)));
        page.Add(Html.Of($"""
            <div class="two"><div class="card">{ReliabilityChart.Draw(calibration)}</div>
            <div class="card"><table><tbody>
            <tr><td>pairs</td>{ReportPage.Cell(Readable.Count(calibration.Bins.Sum(b => b.Count)))}</tr>
            <tr><td>expected calibration error</td>{ReportPage.Cell(Figures.Number(calibration.ExpectedError, "0.0000"))}</tr>
            <tr><td>Brier score</td>{ReportPage.Cell(Figures.Number(calibration.Brier, "0.0000"))}</tr>
            <tr><td>log loss (0.693 for guessing)</td>{ReportPage.Cell(Figures.Number(calibration.LogLoss, "0.0000"))}</tr>
            </tbody></table><p> </p>
            <table><thead><tr><th class="left">sure</th><th>pairs</th><th>right</th><th>mean σ</th></tr></thead><tbody>
            {bins}
            </tbody></table></div></div>

            """));
    }

    private static void SubScores(ReportPage page, EvalFindings findings)
    {
        IReadOnlyList<AttributeSummary> attributes = findings.Attributes.Attributes;
        if (attributes.Count == 0) return;
        page.Section(
            "Sub-scores",
            "Each attribute's expected value from 0 to 1: chosen responses upwards, rejected ones downwards. "
                + "The vertical lines are the means. The percentage is the share of pairs that the attribute alone orders correctly; "
                + "the weight is the mean of the model's weights for it.");
        page.Card(Html.Of($"""
            <p class="key"><span><i class="good"></i>chosen</span><span><i class="bad"></i>rejected</span></p>
            <div class="attributes">{Html.Join(attributes.Select((a, i) => AttributeChart.Draw(findings.AttributeNames[i], a)))}</div>
            {ReportPage.Values(["", "mean of chosen", "mean of rejected", "orders right", "weight"], attributes.Select((a, i) => (Html[])[
                ReportPage.Cell(findings.AttributeNames[i]), ReportPage.Cell(Figures.Number(a.MeanChosen, "0.000")),
                ReportPage.Cell(Figures.Number(a.MeanRejected, "0.000")), ReportPage.Cell(Figures.Percent(a.Agreement)),
                ReportPage.Cell(Figures.Signed(a.MeanWeight, "0.00"))]))}
            """));
    }

    private static void Misses(ReportPage page, EvalFindings findings)
    {
        int all = findings.Result.Examples.Count - findings.Result.Right;
        page.Section(
            "Worst misses",
            all == 0 ? "There are none."
                : all > findings.Misses.Count ? $"The {findings.Misses.Count} worst of {Readable.Count(all)}."
                : $"All {Readable.Count(all)}.");
        foreach (Miss miss in findings.Misses)
        {
            page.Card(Html.Of($"""
                <div class="miss"><header><b>{miss.Example.Subset}</b>
                <span>id {Figures.Id(miss.Example.Id)}</span><span>margin {Readable.Score((float)miss.Example.Margin)}</span></header>
                <div class="text prompt" dir="auto">{miss.Prompt}</div>
                <div class="two"><div class="answer good-edge">
                <small><span>chosen</span><span>{Readable.Score(miss.ChosenScore)}</span></small>
                <div class="text" dir="auto">{miss.Chosen}</div></div>
                <div class="answer bad-edge">
                <small><span>rejected</span><span>{Readable.Score(miss.RejectedScore)}</span></small>
                <div class="text" dir="auto">{miss.Rejected}</div></div></div></div>
                """));
        }
    }

    private static void Failures(ReportPage page, EvalFindings findings)
    {
        if (findings.Failed == 0) return;
        int shown = Math.Min(MaxFailures, findings.Failures.Count);
        page.Section(
            "Left out",
            $"{Readable.Plural(findings.Failed, "line")} could not be scored and {(findings.Failed == 1 ? "counts" : "count")} "
                + $"nowhere above{(findings.Failed > shown ? $"; the first {shown} are" : "")}:");
        page.Table(
            ["line, from 0", "reason"],
            findings.Failures.Take(shown).Select(
                f => (Html[])[ReportPage.Cell(Readable.Count(f.Number)), ReportPage.Cell(f.Error, "left")]));
    }
}
