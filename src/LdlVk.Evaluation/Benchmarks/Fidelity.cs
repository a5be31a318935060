using LdlVk.Evaluation.Statistics;

namespace LdlVk.Evaluation.Benchmarks;

/// <summary>Comparison of a model's scores under two settings, on the same lines.</summary>
/// <param name="Error">Errors of the scores.</param>
/// <param name="Spearman">Rank correlation of the texts, <see cref="RankAgreement.Spearman"/>.</param>
/// <param name="Kendall">Rank correlation of the texts, <see cref="RankAgreement.KendallTauB"/>.</param>
/// <param name="Flips">Lines that are correct under exactly one setting, in the order of the input.</param>
/// <param name="Lines">Number of all lines.</param>
public sealed record Fidelity(ScoreError Error, double Spearman, double Kendall, IReadOnlyList<Flip> Flips, int Lines)
{
    /// <summary>Number of lines that are correct only under the candidate.</summary>
    public int Gained => Flips.Count(f => f.IsGain);

    /// <summary>Number of lines that are correct only under the baseline.</summary>
    public int Lost => Flips.Count - Gained;

    /// <summary>The candidate's accuracy minus the baseline's.</summary>
    public double Change => (double)(Gained - Lost) / Lines;

    /// <summary>95 % interval of <see cref="Change"/>, <see cref="Interval.PairedDifference"/>.</summary>
    public Interval ChangeInterval => Interval.PairedDifference(Gained, Lost, Lines);

    /// <summary>Exact p-value of the hypothesis that neither is better, <see cref="McNemar.PValue"/>.</summary>
    public double PValue => McNemar.PValue(Gained, Lost);

    /// <summary>Compares scores of the same lines.</summary>
    public static Fidelity Between(IReadOnlyList<Example> baseline, IReadOnlyList<Example> candidate)
    {
        float[] expected = Scores(baseline), actual = Scores(candidate);
        return new Fidelity(
            ScoreError.Between(expected, actual),
            RankAgreement.Spearman(expected, actual),
            RankAgreement.KendallTauB(expected, actual),
            [.. baseline.Zip(candidate, (b, c) => new Flip(b, c)).Where(f => f.Baseline.IsRight != f.Candidate.IsRight)],
            baseline.Count);
    }

    /// <summary>Returns the scores of all texts of all lines.</summary>
    public static float[] Scores(IEnumerable<Example> examples) => [.. examples.SelectMany(e => e.Chosen.Concat(e.Rejected))];
}
