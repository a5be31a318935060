using System.Globalization;
using System.Text.Json;
using LdlVk.Evaluation.Benchmarks;
using LdlVk.Evaluation.Statistics;
using LdlVk.Datasets.Items;
using LdlVk.Runtime;

namespace LdlVk.Evaluation.Reports;

/// <summary>What <c>ldlvk fidelity</c> found out, on standard output.</summary>
internal static class FidelitySummary
{
    /// <summary>Flips of one candidate that are listed for people.</summary>
    public const int MostFlips = 20;

    /// <summary>The table: a row for each figure, with a value for each setting, the baseline first.</summary>
    public static IEnumerable<(string Name, string[] Values)> Rows(SettingRuns all)
    {
        yield return Each("accuracy", r => AccuracyChart.Percent(r.Accuracy));
        yield return Each("  95 % (Wilson)", r => Range(Interval.Wilson(r.Right, r.Examples.Count), "0.0"));
        if (all.Results[0].Benchmark != Benchmark.Pairs) yield return Each("benchmark score", r => AccuracyChart.Percent(r.Score));
        yield return Candidates("change of accuracy", f => Signed(f.Change * 100, "0.0") + " %");
        yield return Candidates("  95 % (Tango)", f => Range(f.ChangeInterval, "+0.0;−0.0;0.0"));
        yield return Candidates("  p (exact McNemar)", f => EvalReport.Number(f.PValue, "0.00##"));
        yield return Candidates("lines that flip", f => Readable.Count(f.Flips.Count));
        yield return Candidates("  to right, to wrong", f => $"{Readable.Count(f.Gained)}, {Readable.Count(f.Lost)}");
        yield return Candidates("score error, mean", f => Digits(f.Error.Mean));
        yield return Candidates("  root mean square", f => Digits(f.Error.Rms));
        yield return Candidates("  largest", f => Digits(f.Error.Largest));
        yield return Candidates("  with its sign, mean", f => Signed(f.Error.Bias, "0.#####"));
        yield return Candidates("  rms / scores' spread", f => Digits(f.Error.Relative));
        yield return Candidates("Spearman's ρ", f => EvalReport.Number(f.Spearman, "0.000000"));
        yield return Candidates("Kendall's τ-b", f => EvalReport.Number(f.Kendall, "0.000000"));

        (string, string[]) Each(string name, Func<EvalResult, string> value) => (name, [.. all.Results.Select(value)]);

        (string, string[]) Candidates(string name, Func<Fidelity, string> value) => (name, ["", .. all.Comparisons.Select(value)]);
    }

    /// <summary>For people.</summary>
    public static void Show(SettingRuns all, Screen screen)
    {
        (string Name, string[] Values)[] rows = [("", [.. all.Runs.Select(r => r.Name)]), .. Rows(all)];
        int[] widths = [.. Enumerable.Range(0, all.Runs.Count).Select(i => rows.Max(r => Readable.OneLine(r.Values[i], 40).Length))];
        foreach ((string name, string[] values) in rows)
            screen.Line(Screen.Safe(name.PadRight(23) + string.Concat(values.Select((v, i) => "  " + Readable.OneLine(v, 40).PadLeft(widths[i])))).TrimEnd());
        for (int i = 0; i < all.Comparisons.Count; i++)
        {
            Fidelity comparison = all.Comparisons[i];
            if (comparison.Flips.Count == 0) continue;
            screen.Line();
            screen.Line($"[bold]{Screen.Safe(Readable.OneLine(all.Runs[i + 1].Name, 60))}[/] flips, margin before and after:");
            foreach (Flip flip in comparison.Flips.Take(MostFlips))
                screen.Line(Screen.Safe($"  {Margin(flip.Baseline),9} → {Margin(flip.Candidate),9}  {(flip.IsGain ? "to right" : "to wrong")}  {EvalReport.Id(flip.Baseline.Id)}  {Readable.OneLine(flip.Baseline.Subset, 30)}"));
            if (comparison.Flips.Count > MostFlips) screen.Line($"  and {Readable.Count(comparison.Flips.Count - MostFlips)} more; --json has them all.");
        }
    }

    /// <summary>For programs.</summary>
    public static void WriteJson(SettingRuns all, string input, Utf8JsonWriter json)
    {
        json.WriteString("input", input);
        json.WriteString("benchmark", EvalSummary.Name(all.Results[0].Benchmark));
        json.WriteNumber("lines", all.Lines);
        json.WriteStartObject("baseline");
        WriteRun(json, all, 0);
        json.WriteEndObject();
        EvalSummary.Array(json, "candidates", Enumerable.Range(1, all.Comparisons.Count), i =>
        {
            WriteRun(json, all, i);
            WriteComparison(json, all.Comparisons[i - 1]);
        });
    }

    private static void WriteRun(Utf8JsonWriter json, SettingRuns all, int run)
    {
        EvalResult result = all.Results[run];
        json.WriteString("name", all.Runs[run].Name);
        json.WriteString("setting", all.Runs[run].Used);
        json.WriteNumber("right", result.Right);
        EvalSummary.WriteNumber(json, "accuracy", result.Accuracy);
        EvalSummary.WriteInterval(json, "accuracy_95_wilson", Interval.Wilson(result.Right, result.Examples.Count));
        EvalSummary.WriteNumber(json, "score", result.Score);
        EvalSummary.Array(json, "subsets", result.Subsets, s =>
        {
            json.WriteString("name", s.Name);
            json.WriteNumber("examples", s.Examples);
            EvalSummary.WriteNumber(json, "score", s.Score);
        });
        EvalSummary.WriteFailures(json, all.Runs[run].Failures);
    }

    private static void WriteComparison(Utf8JsonWriter json, Fidelity comparison)
    {
        EvalSummary.WriteNumber(json, "accuracy_change", comparison.Change);
        EvalSummary.WriteInterval(json, "accuracy_change_95_tango", comparison.ChangeInterval);
        json.WriteNumber("p_mcnemar_exact", comparison.PValue);
        ScoreError error = comparison.Error;
        json.WriteStartObject("score_error");
        json.WriteNumber("texts", error.Texts);
        json.WriteNumber("mean", error.Mean);
        json.WriteNumber("rms", error.Rms);
        json.WriteNumber("largest", error.Largest);
        json.WriteNumber("bias", error.Bias);
        EvalSummary.WriteNumber(json, "rms_over_spread", error.Relative);
        json.WriteEndObject();
        EvalSummary.WriteNumber(json, "spearman", comparison.Spearman);
        EvalSummary.WriteNumber(json, "kendall_tau_b", comparison.Kendall);
        json.WriteNumber("to_right", comparison.Gained);
        json.WriteNumber("to_wrong", comparison.Lost);
        EvalSummary.Array(json, "flips", comparison.Flips, f =>
        {
            json.WriteNumber("line", f.Baseline.Line);
            RewardJson.WriteId(json, f.Baseline.Id);
            json.WriteString("subset", f.Baseline.Subset);
            json.WriteNumber("margin_baseline", f.Baseline.Margin);
            json.WriteNumber("margin", f.Candidate.Margin);
        });
    }

    /// <summary>A margin with enough digits that a flip shows its sign.</summary>
    public static string Margin(Example example) => Signed(example.Margin, "0.00000");

    private static string Range(Interval range, string format) =>
        string.Create(CultureInfo.InvariantCulture, $"{(range.Low * 100).ToString(format, CultureInfo.InvariantCulture)} to {(range.High * 100).ToString(format, CultureInfo.InvariantCulture)}");

    private static string Signed(double value, string format) => value.ToString($"+{format};−{format};{format}", CultureInfo.InvariantCulture);

    private static string Digits(double value) => double.IsNaN(value) ? "–" : value.ToString("G3", CultureInfo.InvariantCulture);
}
