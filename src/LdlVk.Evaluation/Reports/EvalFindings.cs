using LdlVk.Evaluation.Benchmarks;
using LdlVk.Evaluation.Statistics;

namespace LdlVk.Evaluation.Reports;

/// <summary>The results of <c>ldlvk eval</c>.</summary>
/// <param name="Model">Folder of the model.</param>
/// <param name="Input">The dataset.</param>
/// <param name="Setting">Device and formats.</param>
/// <param name="AttributeNames">Names of the model's attributes.</param>
/// <param name="Result">The scores.</param>
/// <param name="Attributes">The sub-scores.</param>
/// <param name="Misses">The worst misses, the worst first.</param>
/// <param name="Failures">The first lines that could not be scored.</param>
/// <param name="Failed">Number of lines that could not be scored.</param>
public sealed record EvalFindings(
    string Model, string Input, string Setting, IReadOnlyList<string> AttributeNames, EvalResult Result, AttributeScores Attributes,
    IReadOnlyList<Miss> Misses, IReadOnlyList<FailedLine> Failures, long Failed)
{
    /// <summary>Number of lines whose responses differ only in what was truncated.</summary>
    public long EqualByTruncation { get; init; }

    /// <summary>The program's version, the model's fingerprint and all settings that results depend on, in one line.</summary>
    public string Provenance { get; init; } = "";

    /// <summary>SHA-256 of the dataset's file in hexadecimal; null if it is not a file.</summary>
    public string? InputDigest { get; init; }

    /// <summary>Calibration of all pairs of a chosen and a rejected response.</summary>
    public Calibration Calibration { get; } = Calibration.Of(Result.Examples.SelectMany(e => e.PairMargins));

    /// <summary>Description of <see cref="EvalResult.Score"/>.</summary>
    public string ScoreName => Result.Benchmark switch
    {
        Benchmark.RewardBench1 => "RewardBench score: mean of the sections",
        Benchmark.RewardBench2 => "RewardBench 2 score: mean of the subsets",
        Benchmark.RmBench => "RM-Bench score: mean of the domains",
        Benchmark.PpeCorrectness => "PPE accuracy: share of the sampled pairs",
        _ => "accuracy",
    };

    /// <summary>A warning that the score is not comparable with the leaderboard; null if it is.</summary>
    public string? Incomplete =>
        Result.Missing.Count == 0
            ? null
            : $"Not comparable with the leaderboard: {string.Join(", ", Result.Missing)} {(Result.Missing.Count == 1 ? "is" : "are")} "
                + "not in the data.";
}
