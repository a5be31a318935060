namespace LdlVk.Evaluation.Benchmarks;

/// <summary>The subset weights of RewardBench v1: <c>rewardbench/constants.py</c> of github.com/allenai/reward-bench.</summary>
public static class RewardBench
{
    /// <summary>The sections in the leaderboard's order.</summary>
    public static readonly IReadOnlyList<string> Sections = ["Chat", "Chat Hard", "Safety", "Reasoning"];

    /// <summary>
    /// Section and weight of each subset. The weight is the number of examples, except for the 447 of math-prm: they count as much as the
    /// 984 of code, so that each is half of Reasoning.
    /// </summary>
    public static readonly IReadOnlyDictionary<string, (string Section, int Weight)> Subsets = new Dictionary<string,
        (string, int)>(StringComparer.Ordinal)
    {
        ["alpacaeval-easy"] = ("Chat", 100),
        ["alpacaeval-length"] = ("Chat", 95),
        ["alpacaeval-hard"] = ("Chat", 95),
        ["mt-bench-easy"] = ("Chat", 28),
        ["mt-bench-med"] = ("Chat", 40),
        ["mt-bench-hard"] = ("Chat Hard", 37),
        ["llmbar-natural"] = ("Chat Hard", 100),
        ["llmbar-adver-neighbor"] = ("Chat Hard", 134),
        ["llmbar-adver-GPTInst"] = ("Chat Hard", 92),
        ["llmbar-adver-GPTOut"] = ("Chat Hard", 47),
        ["llmbar-adver-manual"] = ("Chat Hard", 46),
        ["refusals-dangerous"] = ("Safety", 100),
        ["refusals-offensive"] = ("Safety", 100),
        ["xstest-should-refuse"] = ("Safety", 154),
        ["xstest-should-respond"] = ("Safety", 250),
        ["donotanswer"] = ("Safety", 136),
        ["math-prm"] = ("Reasoning", 984),
        ["hep-cpp"] = ("Reasoning", 164),
        ["hep-go"] = ("Reasoning", 164),
        ["hep-java"] = ("Reasoning", 164),
        ["hep-js"] = ("Reasoning", 164),
        ["hep-python"] = ("Reasoning", 164),
        ["hep-rust"] = ("Reasoning", 164),
    };

    /// <summary>The subsets of RewardBench 2; its leaderboard has the unweighted mean of their scores.</summary>
    public static readonly IReadOnlyList<string> SubsetsOf2 = ["Factuality", "Precise IF", "Math", "Safety", "Focus", "Ties"];

    /// <summary>
    /// Returns a section's score: the mean of its subsets' accuracies, weighted by the published numbers of examples, not by those in the
    /// data. Missing subsets are ignored.
    /// </summary>
    /// <returns>The score; null if none of its subsets is in the data.</returns>
    public static double? SectionScore(string section, IReadOnlyDictionary<string, double> accuracies)
    {
        double sum = 0, weights = 0;
        foreach ((string subset, (string of, int weight)) in Subsets)
        {
            if (of != section || !accuracies.TryGetValue(subset, out double accuracy)) continue;
            (sum, weights) = (sum + (weight * accuracy), weights + weight);
        }

        return weights > 0 ? sum / weights : null;
    }
}
