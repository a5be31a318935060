using System.Globalization;
using LdlVk.Evaluation.Benchmarks;
using LdlVk.Evaluation.Reports;
using LdlVk.Evaluation.Statistics;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Cli.Output;

/// <summary>Shows an evaluation as a table on the screen.</summary>
internal static class EvalTable
{
    /// <summary>Shows the sections, subsets and totals.</summary>
    public static void Show(EvalFindings findings, Screen screen)
    {
        EvalResult result = findings.Result;
        if (result.Examples.Count == 0)
        {
            // An accuracy of no lines would be any number.
            screen.Line("No line could be evaluated.");
            return;
        }

        int width = Math.Clamp(result.Subsets.Select(s => s.Name.Length + 2).DefaultIfEmpty().Max(), 12, 32);
        foreach (SectionResult section in result.Sections)
        {
            screen.Line($"[bold]{Row(section.Name, section.Score, section.Examples, null, width)}[/]");
            foreach (SubsetResult subset in result.Subsets.Where(s => s.Section == section.Name)) Subset(subset, "  ");
        }

        foreach (SubsetResult subset in result.Subsets.Where(s => s.Section is null)) Subset(subset, "");
        screen.Line();
        if (result.Benchmark != Benchmark.Pairs)
            screen.Line($"[bold]{Row("score", result.Score, result.Examples.Count, null, width)}[/]  {findings.ScoreName}");
        if (findings.Incomplete is { } incomplete) screen.Line(Screen.Safe(incomplete));
        Interval accuracy = Interval.Wilson(result.Right, result.Examples.Count);
        screen.Line($"[bold]{Row("all lines", result.Accuracy, result.Examples.Count, accuracy, width)}[/]");
        screen.Line(string.Create(CultureInfo.InvariantCulture,
            $"calibration error {Figures.Number(findings.Calibration.ExpectedError, "0.000")}, log loss "
                + $"{Figures.Number(findings.Calibration.LogLoss, "0.000")}, "
                + $"{Readable.Plural(result.Examples.Count - result.Right, "line")} wrong"));

        void Subset(SubsetResult subset, string indent) =>
            screen.Line(Row(indent + subset.Name, subset.Score, subset.Examples, subset.Interval, width));
    }

    private static string Row(string name, double score, int examples, Interval? interval, int width)
    {
        string range = interval is { } i ? $"  {Figures.Percent(i.Low),7} to {Figures.Percent(i.High),7}" : "";
        return $"{Screen.Safe(Readable.OneLine(name, width).PadRight(width))} {Figures.Percent(score),7} "
            + $"{Readable.Count(examples),7}{range}";
    }
}
