using System.Text.Json;

namespace LdlVk.Evaluation.Steps;

/// <summary>
/// The names by which the lines of ProcessBench (github.com/QwenLM/ProcessBench) and PRMBench (github.com/ssmisya/PRMBench) are told from
/// others of their form.
/// </summary>
public static class StepBenchmarks
{
    /// <summary>ProcessBench's parts. A line's id is a part's name and a number, such as <c>gsm8k-0</c>.</summary>
    public static readonly IReadOnlyList<string> Parts = ["gsm8k", "math", "olympiadbench", "omnimath"];

    /// <summary>PRMBench's classifications, under the names of its data, by their category.</summary>
    public static readonly IReadOnlyDictionary<string, string[]> Categories = new Dictionary<string, string[]>
    {
        ["simplicity"] = ["redundency", "circular"],
        ["soundness"] = ["counterfactual", "step_contradiction", "domain_inconsistency", "confidence"],
        ["sensitivity"] = ["missing_condition", "deception", "multi_solutions"],
    };

    /// <summary>The classification whose steps are all right, so that its score is the F1 of right steps alone.</summary>
    public const string AllRight = "multi_solutions";

    /// <summary>Returns ProcessBench's part of a line's id in JSON; null for other ids.</summary>
    public static string? PartOf(string id)
    {
        ArgumentNullException.ThrowIfNull(id);
        if (!id.StartsWith('"')) return null;
        using JsonDocument json = JsonDocument.Parse(id);
        string[] halves = json.RootElement.GetString()!.Split('-');
        return halves is [var part, { Length: > 0 } number] && number.All(char.IsAsciiDigit) && Parts.Contains(part) ? part : null;
    }
}
