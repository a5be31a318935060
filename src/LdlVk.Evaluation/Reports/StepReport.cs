using LdlVk.Evaluation.Steps;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Evaluation.Reports;

/// <summary>The HTML report of <c>ldlvk eval</c> on labels of steps.</summary>
public static class StepReport
{
    /// <summary>Maximum number of failed lines that are shown.</summary>
    private const int MaxFailures = 100;

    /// <summary>Writes the report.</summary>
    /// <param name="findings">The result of the evaluation.</param>
    /// <param name="output">Receives the page as UTF-8.</param>
    public static void Write(StepFindings findings, Stream output)
    {
        StepResult result = findings.Result;
        string model = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(findings.Model)));
        ReportPage page = new($"{model} on {Path.GetFileName(findings.Input)}",
            $"{findings.Setting} · {Readable.Plural(result.Examples.Count + findings.Scorer.Failed, "line")}");
        page.Facts([
            (Figures.Percent(result.Score), findings.ScoreName),
            (Figures.Number(result.Threshold, "0.###"), "threshold: a step whose score is above it counts as right")]);
        if (findings.Incomplete is { } incomplete) page.Card(Html.Of($"{incomplete}"));
        page.Section("Labels of steps", result.IsEveryStep
            ? "F1 of right steps and F1 of wrong steps, over all steps of a group's lines. A category is the mean of its classifications."
            : "The share of lines with a wrong step whose first one is found, and of lines without one in which none is found.");
        (string score, string first, string second) = result.Names;
        page.Table(["", "lines", score, first, second], result.Groups.Append(result.All).Select(group => (Html[])[
            ReportPage.Cell(group.Name, "left"), ReportPage.Cell(Readable.Count(group.Examples)),
            ReportPage.Cell(Figures.Percent(group.Score)),
            ReportPage.Cell(Figures.Percent(group.First)), ReportPage.Cell(Figures.Percent(group.Second))]));
        if (findings.Scorer.Failed > 0)
        {
            page.Section("Left out", $"{Readable.Plural(findings.Scorer.Failed, "line")} could not be scored.");
            page.Table(["line, from 0", "reason"], findings.Scorer.Failures.Take(MaxFailures).Select(
                f => (Html[])[ReportPage.Cell(Readable.Count(f.Number)), ReportPage.Cell(f.Error, "left")]));
        }

        string input = findings.InputDigest is { } digest ? $"{findings.Input} (SHA-256 {digest})" : findings.Input;
        page.Add(Html.Of($"<footer>Made by <code>ldlvk eval</code> from <code>{findings.Model}</code> and <code>{input}</code>. "
            + $"Settings: {findings.Provenance}.</footer>"));
        page.Write(output);
    }
}
