namespace LdlVk.Evaluation.Benchmarks;

/// <summary>The scores of one line of pairs: what is kept of it.</summary>
/// <param name="Line">Its number in the input, from 0.</param>
/// <param name="Id">Its id as JSON.</param>
/// <param name="Subset">Its subset.</param>
/// <param name="IsBestOf">Whether it is a line of RewardBench 2, one response to be found among several, and not a pair.</param>
/// <param name="Ties">Which prompt of the Ties subset it is of; null for other subsets.</param>
/// <param name="Chosen">Scores of the chosen responses, one or more.</param>
/// <param name="Rejected">Scores of the rejected responses, one or more.</param>
public sealed record Example(long Line, string Id, string Subset, bool IsBestOf, TiesId? Ties, float[] Chosen, float[] Rejected)
{
    /// <summary>Worst chosen score less best rejected one: positive if the line is right.</summary>
    public double Margin => (double)Chosen.Min() - Rejected.Max();

    /// <summary>Whether every chosen response is above every rejected one.</summary>
    public bool IsRight => Margin > 0;

    /// <summary>
    /// What the line counts. A pair: 1 if the chosen score is above the rejected one, else 0 (<c>run_rm.py</c>). Best of several: 1 for the
    /// only best, 1/k if k share the first place, else 0 (<c>reroll_and_score_dataset</c>); of several chosen responses the first alone is
    /// the one that must be best, and the others are its rivals, as there. In the Ties subset lines count together, and this is null.
    /// </summary>
    public double? Result
    {
        get
        {
            if (Ties is not null) return null;
            if (!IsBestOf) return IsRight ? 1 : 0;
            float best = Math.Max(Chosen.Max(), Rejected.Max());
            return Chosen[0] == best ? 1.0 / (Chosen.Count(s => s == best) + Rejected.Count(s => s == best)) : 0;
        }
    }

    /// <summary>Chosen less rejected score, of each chosen with each rejected response.</summary>
    public IEnumerable<double> PairMargins
    {
        get
        {
            foreach (float chosen in Chosen)
                foreach (float rejected in Rejected) yield return (double)chosen - rejected;
        }
    }
}
