namespace LdlVk.Evaluation.Benchmarks;

/// <summary>A baseline and candidates, compared on the lines that all of them could score.</summary>
public sealed class SettingRuns
{
    private SettingRuns(IReadOnlyList<SettingRun> runs, IReadOnlyList<EvalResult> results, IReadOnlyList<Fidelity> comparisons) =>
        (Runs, Results, Comparisons) = (runs, results, comparisons);

    /// <summary>The runs, the baseline first, restricted to their common lines.</summary>
    public IReadOnlyList<SettingRun> Runs { get; }

    /// <summary>The evaluation of each run.</summary>
    public IReadOnlyList<EvalResult> Results { get; }

    /// <summary>The comparison of each candidate with the baseline.</summary>
    public IReadOnlyList<Fidelity> Comparisons { get; }

    /// <summary>Number of lines that all settings could score.</summary>
    public int Lines => Runs[0].Examples.Count;

    /// <summary>Compares runs, the baseline first.</summary>
    /// <exception cref="IOException">The runs have not read the same lines.</exception>
    public static SettingRuns Of(IReadOnlyList<SettingRun> runs)
    {
        if (runs.Any(run => run.Input != runs[0].Input))
            throw new IOException(
                "The input has changed during the runs, so the settings have scored different lines. "
                    + "Run it again on a file that does not change.");
        HashSet<long> common = [.. runs[0].Examples.Select(e => e.Line)];
        foreach (SettingRun run in runs.Skip(1)) common.IntersectWith(run.Examples.Select(e => e.Line));
        SettingRun[] cut = [.. runs.Select(r => r with { Examples = [.. r.Examples.Where(e => common.Contains(e.Line))] })];
        return new SettingRuns(
            cut, [.. cut.Select(r => EvalResult.Of(r.Examples))],
            [.. cut.Skip(1).Select(r => Fidelity.Between(cut[0].Examples, r.Examples))]);
    }
}
