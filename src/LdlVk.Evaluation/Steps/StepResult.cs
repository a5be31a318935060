namespace LdlVk.Evaluation.Steps;

/// <summary>The result of a group of lines.</summary>
/// <param name="Name">The group; a part, a classification or a category.</param>
/// <param name="Examples">Number of its lines.</param>
/// <param name="Score">Its score; NaN if its lines do not define one.</param>
/// <param name="First">The first of the two values that the score is made of.</param>
/// <param name="Second">The second of them.</param>
public sealed record StepGroup(string Name, int Examples, double Score, double First, double Second);

/// <summary>
/// The evaluation of a model on labels of steps. A step counts as right if its score is above the threshold.
/// <list type="bullet">
/// <item>Where the first wrong step is labeled (ProcessBench, <c>run_eval.py</c>): the harmonic mean of two accuracies, that of lines
/// with a wrong step, whose first one must be found, and that of lines without, in which none may be found. ProcessBench's score is the
/// mean of its parts.</item>
/// <item>Where every wrong step is labeled (PRMBench, <c>evaluate_function</c>): half the F1 of right steps and half the F1 of wrong steps,
/// over all steps of all lines; of the classification without wrong steps the F1 of right ones alone.</item>
/// </list>
/// </summary>
public sealed record StepResult
{
    /// <summary>The examples, in the order of the input.</summary>
    public required IReadOnlyList<StepExample> Examples { get; init; }

    /// <summary>The threshold above which a step is right.</summary>
    public required double Threshold { get; init; }

    /// <summary>"ProcessBench" or "PRMBench" if all lines are of it; null for other lines with labels of steps.</summary>
    public required string? Benchmark { get; init; }

    /// <summary>Whether every wrong step is labeled, instead of the first one.</summary>
    public required bool IsEveryStep { get; init; }

    /// <summary>All lines as one group.</summary>
    public required StepGroup All { get; init; }

    /// <summary>The parts or classifications, and before its own a category of PRMBench all of whose classifications are there.</summary>
    public required IReadOnlyList<StepGroup> Groups { get; init; }

    /// <summary>The benchmark's parts or classifications that are not in the data.</summary>
    public required IReadOnlyList<string> Missing { get; init; }

    /// <summary>The mean of ProcessBench's parts; otherwise the score of all lines.</summary>
    public double Score => Benchmark == "ProcessBench" ? Groups.Average(group => group.Score) : All.Score;

    /// <summary>The words for <see cref="StepGroup.Score"/> and its two values.</summary>
    public (string Score, string First, string Second) Names => IsEveryStep
        ? ("(F1 + negative F1) / 2", "F1 of right steps", "F1 of wrong steps")
        : ("F1", "accuracy with a wrong step", "accuracy without one");

    /// <summary>Evaluates examples that are all of one form.</summary>
    public static StepResult Of(IReadOnlyList<StepExample> examples, double threshold)
    {
        ArgumentNullException.ThrowIfNull(examples);
        bool every = examples.Count > 0 && examples[0].IsEveryStep;
        string?[] names = every ? [.. StepBenchmarks.Categories.Values.SelectMany(names => names)] : [.. StepBenchmarks.Parts];
        bool isKnown = examples.Count > 0
            && examples.All(e => names.Contains(e.Group) && (every || StepBenchmarks.PartOf(e.Id) is not null));
        string?[] found = [.. examples.Select(e => e.Group).Distinct()];
        List<StepGroup> groups = [.. (isKnown ? names.Intersect(found) : found).Where(name => name is not null).Select(
            name => Group(name!, [.. examples.Where(e => e.Group == name)], threshold))];
        if (isKnown && every) AddCategories(groups);
        return new StepResult
        {
            Examples = examples, Threshold = threshold, IsEveryStep = every, All = Group("all lines", examples, threshold), Groups = groups,
            Benchmark = !isKnown ? null : every ? "PRMBench" : "ProcessBench",
            Missing = isKnown ? [.. names.Except(found).OfType<string>()] : [],
        };
    }

    private static void AddCategories(List<StepGroup> groups)
    {
        foreach ((string category, string[] names) in StepBenchmarks.Categories)
        {
            StepGroup[] parts = [.. groups.Where(group => names.Contains(group.Name))];
            if (parts.Length < names.Length) continue;
            groups.Insert(groups.IndexOf(parts[0]), new StepGroup(
                category, parts.Sum(part => part.Examples), parts.Average(part => part.Score), double.NaN, double.NaN));
        }
    }

    private static StepGroup Group(string name, IReadOnlyList<StepExample> examples, double threshold)
    {
        if (examples.Count > 0 && examples[0].IsEveryStep) return Confusion(name, examples, threshold);
        double[] wrong = [.. examples.Where(e => e.Wrong.Count > 0).Select(Match)];
        double[] right = [.. examples.Where(e => e.Wrong.Count == 0).Select(Match)];
        double first = Mean(wrong), second = Mean(right);
        return new StepGroup(name, examples.Count, first + second == 0 ? 0 : 2 * first * second / (first + second), first, second);

        double Match(StepExample example) => example.IsMatch(threshold) ? 1 : 0;

        static double Mean(double[] values) => values.Length == 0 ? double.NaN : values.Average();
    }

    private static StepGroup Confusion(string name, IReadOnlyList<StepExample> examples, double threshold)
    {
        // Positive: a step that is right.
        long truePositive = 0, falsePositive = 0, trueNegative = 0, falseNegative = 0;
        foreach (StepExample example in examples)
        {
            for (int i = 0; i < example.Scores.Length; i++)
            {
                bool says = example.Scores[i] > threshold, isWrong = example.Wrong.Contains(i);
                if (says) _ = isWrong ? falsePositive++ : truePositive++;
                else _ = isWrong ? trueNegative++ : falseNegative++;
            }
        }

        double positive = F1(truePositive), negative = F1(trueNegative);
        return new StepGroup(
            name, examples.Count, name == StepBenchmarks.AllRight ? positive : (positive + negative) / 2, positive, negative);

        double F1(long found)
        {
            long all = (2 * found) + falsePositive + falseNegative;
            return all == 0 ? double.NaN : 2.0 * found / all;
        }
    }
}
