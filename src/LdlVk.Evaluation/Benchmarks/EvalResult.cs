using LdlVk.Evaluation.Statistics;

namespace LdlVk.Evaluation.Benchmarks;

/// <summary>What the scores of a data set say of the model.</summary>
public sealed class EvalResult
{
    private EvalResult(IReadOnlyList<Example> examples, Benchmark benchmark) => (Examples, Benchmark) = (examples, benchmark);

    /// <summary>The examples, in the order of the input.</summary>
    public IReadOnlyList<Example> Examples { get; }

    /// <summary>Whose rules apply.</summary>
    public Benchmark Benchmark { get; }

    /// <summary>The subsets: RewardBench's in its order, others in that of the input.</summary>
    public required IReadOnlyList<SubsetResult> Subsets { get; init; }

    /// <summary>The sections that are there; none but in RewardBench v1.</summary>
    public required IReadOnlyList<SectionResult> Sections { get; init; }

    /// <summary>How the Ties subset came about; null if it is not there.</summary>
    public required TiesScore? Ties { get; init; }

    /// <summary>
    /// The leaderboard's number: the mean of the sections (v1) or subsets (2) that are there; of other pairs the share that is right. NaN
    /// if there is nothing.
    /// </summary>
    public required double Score { get; init; }

    /// <summary>Sections (v1) or subsets (2) without which <see cref="Score"/> is not the leaderboard's.</summary>
    public required IReadOnlyList<string> Missing { get; init; }

    /// <summary>Lines in which every chosen response is above every rejected one.</summary>
    public int Right => Examples.Count(e => e.IsRight);

    /// <summary>Their share; NaN without examples.</summary>
    public double Accuracy => (double)Right / Examples.Count;

    /// <summary>Looks at the examples of a data set.</summary>
    public static EvalResult Of(IReadOnlyList<Example> examples)
    {
        Benchmark benchmark = examples.Any(e => e.IsBestOf) ? Benchmark.RewardBench2
            : examples.Any(e => RewardBench.Subsets.ContainsKey(e.Subset)) ? Benchmark.RewardBench1 : Benchmark.Pairs;
        SubsetResult[] subsets = [.. examples.GroupBy(e => (e.Subset, IsTies: e.Ties is not null)).Select(Subset)];
        Example[] ties = [.. examples.Where(e => e.Ties is not null)];
        TiesScore? tiesScore = ties.Length > 0 ? TiesScore.Of(ties) : null;
        return benchmark switch
        {
            Benchmark.RewardBench1 => OfRewardBench1(examples, subsets),
            Benchmark.RewardBench2 => new EvalResult(examples, benchmark)
            {
                Subsets = [.. subsets.OrderBy(s => Place(RewardBench.SubsetsOf2, s.Name))],
                Sections = [],
                Ties = tiesScore,
                Score = subsets.Average(s => s.Score),
                Missing = [
                    .. RewardBench.SubsetsOf2.Where(name => !subsets.Any(s => s.Name.Equals(name, StringComparison.OrdinalIgnoreCase)))],
            },
            _ => new EvalResult(examples, benchmark)
            {
                Subsets = subsets,
                Sections = [],
                Ties = null,
                Score = examples.Count == 0 ? double.NaN : examples.Average(e => e.Result!.Value),
                Missing = [],
            },
        };
    }

    private static EvalResult OfRewardBench1(IReadOnlyList<Example> examples, SubsetResult[] subsets)
    {
        Dictionary<string, double> accuracies = subsets.ToDictionary(s => s.Name, s => s.Score, StringComparer.Ordinal);
        SectionResult[] sections = [.. RewardBench.Sections
            .Where(name => RewardBench.SectionScore(name, accuracies) is not null)
            .Select(
                name => new SectionResult(
                    name, subsets.Where(s => s.Section == name).Sum(s => s.Examples), RewardBench.SectionScore(name, accuracies)!.Value))];
        string[] order = [.. RewardBench.Subsets.Keys];
        return new EvalResult(examples, Benchmark.RewardBench1)
        {
            Subsets = [.. subsets.OrderBy(s => Place(order, s.Name))],
            Sections = sections,
            Ties = null,
            Score = sections.Average(s => s.Score),
            Missing = [.. RewardBench.Sections.Except(sections.Select(s => s.Name))],
        };
    }

    private static SubsetResult Subset(IGrouping<(string Name, bool IsTies), Example> group)
    {
        int count = group.Count();
        if (group.Key.IsTies) return new SubsetResult(group.Key.Name, null, count, TiesScore.Of(group).Overall, null);
        double right = group.Sum(e => e.Result!.Value);
        string? section = RewardBench.Subsets.TryGetValue(group.Key.Name, out (string Section, int Weight) known) ? known.Section : null;
        return new SubsetResult(group.Key.Name, section, count, right / count, Interval.Wilson(right, count));
    }

    /// <summary>Where a name stands in a list; behind it, if it is not there.</summary>
    private static int Place(IReadOnlyList<string> names, string name)
    {
        for (int i = 0; i < names.Count; i++)
            if (names[i].Equals(name, StringComparison.OrdinalIgnoreCase)) return i;
        return names.Count;
    }
}
