using LdlVk.Evaluation.Statistics;

namespace LdlVk.Evaluation.Benchmarks;

/// <summary>The evaluation of a model on a preference dataset.</summary>
public sealed class EvalResult
{
    private EvalResult(IReadOnlyList<Example> examples, Benchmark benchmark) => (Examples, Benchmark) = (examples, benchmark);

    /// <summary>The examples, in the order of the input.</summary>
    public IReadOnlyList<Example> Examples { get; }

    /// <summary>The benchmark whose rules apply.</summary>
    public Benchmark Benchmark { get; }

    /// <summary>The subsets: those of RewardBench in its order, others in the order of the input.</summary>
    public required IReadOnlyList<SubsetResult> Subsets { get; init; }

    /// <summary>The sections in the data (v1), or the levels of RM-Bench; empty for other data.</summary>
    public required IReadOnlyList<SectionResult> Sections { get; init; }

    /// <summary>Details of the Ties subset; null if it is not in the data.</summary>
    public required TiesScore? Ties { get; init; }

    /// <summary>
    /// The leaderboard's score: the mean of the sections (v1), subsets (2) or domains (RM-Bench) in the data. For PPE and other pairs, the
    /// share of correct ones. NaN if there are no examples.
    /// </summary>
    public required double Score { get; init; }

    /// <summary>
    /// Sections (v1) or subsets (2) missing in the data. If there are any, <see cref="Score"/> is not comparable with the leaderboard.
    /// </summary>
    public required IReadOnlyList<string> Missing { get; init; }

    /// <summary>Number of lines in which every chosen response scores above every rejected one.</summary>
    public int Right => Examples.Count(e => e.IsRight);

    /// <summary>Share of those lines; NaN without examples.</summary>
    public double Accuracy => (double)Right / Examples.Count;

    /// <summary>Evaluates the examples of a dataset.</summary>
    public static EvalResult Of(IReadOnlyList<Example> examples)
    {
        // A benchmark's score is given for its own lines alone, not for a file that has their form.
        Benchmark benchmark = examples.Count > 0 && examples.All(e => e.IsStyles) ? Benchmark.RmBench
            : examples.Count > 0 && examples.All(e => e.IsPaired) ? Benchmark.PpeCorrectness
            : examples.Any(e => e.IsBestOf && RewardBench.SubsetsOf2.Contains(e.Subset, StringComparer.OrdinalIgnoreCase))
            ? Benchmark.RewardBench2
            : examples.Any(e => RewardBench.Subsets.ContainsKey(e.Subset)) ? Benchmark.RewardBench1 : Benchmark.Pairs;
        SubsetResult[] subsets = [.. examples.GroupBy(e => (e.Subset, IsTies: e.Ties is not null)).Select(Subset)];
        Example[] ties = [.. examples.Where(e => e.Ties is not null)];
        TiesScore? tiesScore = ties.Length > 0 ? TiesScore.Of(ties) : null;
        return benchmark switch
        {
            Benchmark.RewardBench1 => OfRewardBench1(examples, subsets),
            Benchmark.RmBench => OfRmBench(examples, subsets),
            Benchmark.RewardBench2 => new EvalResult(examples, benchmark)
            {
                Subsets = [.. subsets.OrderBy(s => Place(RewardBench.SubsetsOf2, s.Name))],
                Sections = [],
                Ties = tiesScore,
                Score = subsets.Average(s => s.Score),
                Missing = [
                    .. RewardBench.SubsetsOf2.Where(name => !subsets.Any(s => s.Name.Equals(name, StringComparison.OrdinalIgnoreCase)))],
            },
            Benchmark.PpeCorrectness => new EvalResult(examples, benchmark)
            {
                Subsets = subsets,
                Sections = [],
                Ties = null,
                Score = examples.SelectMany(e => e.PairMargins).Average(margin => margin > 0 ? 1.0 : 0),
                Missing = [],
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

    private static EvalResult OfRmBench(IReadOnlyList<Example> examples, SubsetResult[] subsets) => new(examples, Benchmark.RmBench)
    {
        Subsets = [.. subsets.OrderBy(s => Place(RmBench.Domains, RmBench.Domain(s.Name)))],
        Sections = [.. RmBench.Levels.Select((name, level) => new SectionResult(name, examples.Count, RmBench.Score(examples, level)))],
        Ties = null,
        Score = RmBench.Score(examples),
        Missing = [.. RmBench.Domains.Where(name => !subsets.Any(s => RmBench.Domain(s.Name) == name))],
    };

    private static SubsetResult Subset(IGrouping<(string Name, bool IsTies), Example> group)
    {
        int count = group.Count();
        if (group.Key.IsTies) return new SubsetResult(group.Key.Name, null, count, TiesScore.Of(group).Overall, null);
        double right = group.Sum(e => e.Result!.Value);
        string? section = RewardBench.Subsets.TryGetValue(group.Key.Name, out (string Section, int Weight) known) ? known.Section : null;
        // The comparisons of a line of RM-Bench or PPE are no independent trials.
        Interval? interval = group.All(e => e.IsStyles || e.IsPaired) ? null : Interval.Wilson(right, count);
        return new SubsetResult(group.Key.Name, section, count, right / count, interval);
    }

    /// <summary>Returns the index of a name in a list, or the list's length if it is missing.</summary>
    private static int Place(IReadOnlyList<string> names, string name)
    {
        for (int i = 0; i < names.Count; i++)
            if (names[i].Equals(name, StringComparison.OrdinalIgnoreCase)) return i;
        return names.Count;
    }
}
