using LdlVk.Evaluation.Benchmarks;
using LdlVk.Evaluation.Statistics;
using LdlVk.Runtime.Formatting;

namespace LdlVk.Evaluation.Reports;

/// <summary>The table of a comparison of settings.</summary>
public static class FidelityRows
{
    /// <summary>A row for each figure, with a value for each setting, the baseline first.</summary>
    public static IEnumerable<(string Name, string[] Values)> Of(SettingRuns all)
    {
        yield return Each("accuracy", r => Figures.Percent(r.Accuracy));
        yield return Each("  95 % (Wilson)", r => Figures.Range(Interval.Wilson(r.Right, r.Examples.Count), "0.0"));
        if (all.Results[0].Benchmark != Benchmark.Pairs) yield return Each("benchmark score", r => Figures.Percent(r.Score));
        yield return Candidates("change of accuracy", f => Figures.Change(f.Change));
        yield return Candidates("  95 % (Tango)", f => Figures.Range(f.ChangeInterval, "+0.0;−0.0;0.0"));
        yield return Candidates("  p (exact McNemar)", f => Figures.Number(f.PValue, "0.00##"));
        yield return Candidates("lines that flip", f => Readable.Count(f.Flips.Count));
        yield return Candidates("  to right, to wrong", f => $"{Readable.Count(f.Gained)}, {Readable.Count(f.Lost)}");
        yield return Candidates("score error, mean", f => Figures.Digits(f.Error.Mean));
        yield return Candidates("  root mean square", f => Figures.Digits(f.Error.Rms));
        yield return Candidates("  largest", f => Figures.Digits(f.Error.Largest));
        yield return Candidates("  with its sign, mean", f => Figures.Signed(f.Error.Bias, "0.#####"));
        yield return Candidates("  rms / scores' spread", f => Figures.Digits(f.Error.Relative));
        yield return Candidates("Spearman's ρ", f => Figures.Number(f.Spearman, "0.000000"));
        yield return Candidates("Kendall's τ-b", f => Figures.Number(f.Kendall, "0.000000"));

        (string, string[]) Each(string name, Func<EvalResult, string> value) => (name, [.. all.Results.Select(value)]);

        (string, string[]) Candidates(string name, Func<Fidelity, string> value) => (name, ["", .. all.Comparisons.Select(value)]);
    }
}
