using LdlVk.Evaluation.Steps;

namespace LdlVk.Evaluation.Reports;

/// <summary>The results of <c>ldlvk eval</c> on labels of steps.</summary>
/// <param name="Model">Folder of the model.</param>
/// <param name="Input">The dataset.</param>
/// <param name="Setting">Device and formats.</param>
/// <param name="Result">The scores.</param>
/// <param name="Scorer">The lines that could not be scored.</param>
/// <param name="Provenance">The program's version, the model's fingerprint and all settings that results depend on, in one line.</param>
/// <param name="InputDigest">SHA-256 of the dataset's file in hexadecimal; null if it is not a file.</param>
public sealed record StepFindings(
    string Model, string Input, string Setting, StepResult Result, StepScorer Scorer, string Provenance, string? InputDigest)
{
    /// <summary>The score in words.</summary>
    public string ScoreName => Result.Benchmark switch
    {
        "ProcessBench" => "ProcessBench score: mean of the parts' F1",
        "PRMBench" => "PRMBench score (PRMScore): half the F1 of right steps, half that of wrong ones",
        _ => Result.IsEveryStep ? "half the F1 of right steps, half that of wrong ones" : "F1 of finding the first wrong step",
    };

    /// <summary>A warning that the score is not comparable with the leaderboard; null if there is no reason for one.</summary>
    public string? Incomplete => Result.Missing.Count == 0
        ? null
        : $"Not comparable with the leaderboard: {string.Join(", ", Result.Missing)} {(Result.Missing.Count == 1 ? "is" : "are")} not in "
            + "the data.";
}
