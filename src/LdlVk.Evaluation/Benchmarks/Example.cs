namespace LdlVk.Evaluation.Benchmarks;

/// <summary>The scores of one line of a preference dataset.</summary>
/// <param name="Line">Index of the line in the input, from 0.</param>
/// <param name="Id">Its id as JSON.</param>
/// <param name="Subset">Its subset.</param>
/// <param name="IsBestOf">Whether the line is a best-of-several line of RewardBench 2 instead of a pair.</param>
/// <param name="Ties">The line's prompt in the Ties subset; null for other subsets.</param>
/// <param name="Chosen">Scores of the chosen responses, one or more.</param>
/// <param name="Rejected">Scores of the rejected responses, one or more.</param>
public sealed record Example(long Line, string Id, string Subset, bool IsBestOf, TiesId? Ties, float[] Chosen, float[] Rejected)
{
    /// <summary>Whether the line is one of RM-Bench: three styles of a chosen response, and three of a rejected one.</summary>
    public bool IsStyles { get; init; }

    /// <summary>
    /// Whether the line is one of PPE: chosen response i is compared with rejected response i alone (<c>sampled_conflict_pairs</c>).
    /// </summary>
    public bool IsPaired { get; init; }

    /// <summary>
    /// Lowest chosen score minus highest rejected score, or the smallest margin of a pair of PPE; positive if the line is correct.
    /// </summary>
    public double Margin => IsPaired ? PairMargins.Min() : (double)Chosen.Min() - Rejected.Max();

    /// <summary>Whether every chosen response scores above every rejected one.</summary>
    public bool IsRight => Margin > 0;

    /// <summary>
    /// The line's contribution to the accuracy. A pair: 1 if the chosen score is above the rejected one, else 0 (<c>run_rm.py</c>). Best of
    /// several: 1 if the chosen response alone is best, 1/k if k responses share the best score, else 0 (<c>reroll_and_score_dataset</c>).
    /// As there, only the first of several chosen responses must be best, and the others count as rejected. Null in the Ties subset, where
    /// lines are scored together. In RM-Bench the share of the nine comparisons that are right (<see cref="RmBench"/>), in PPE that of the
    /// pairs.
    /// </summary>
    public double? Result
    {
        get
        {
            if (Ties is not null) return null;
            if (IsStyles) return RmBench.Accuracy([this]);
            if (IsPaired) return PairMargins.Average(margin => margin > 0 ? 1.0 : 0);
            if (!IsBestOf) return IsRight ? 1 : 0;
            float best = Math.Max(Chosen.Max(), Rejected.Max());
            return Chosen[0] == best ? 1.0 / (Chosen.Count(s => s == best) + Rejected.Count(s => s == best)) : 0;
        }
    }

    /// <summary>Chosen minus rejected score, for each pair of a chosen and a rejected response that are compared.</summary>
    public IEnumerable<double> PairMargins
    {
        get
        {
            if (IsPaired)
            {
                for (int i = 0; i < Chosen.Length; i++) yield return (double)Chosen[i] - Rejected[i];
                yield break;
            }

            foreach (float chosen in Chosen)
                foreach (float rejected in Rejected) yield return (double)chosen - rejected;
        }
    }
}
