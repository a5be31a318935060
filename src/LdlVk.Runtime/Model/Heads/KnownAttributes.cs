namespace LdlVk.Runtime.Model.Heads;

/// <summary>The attributes of published models, in the order of their outputs.</summary>
internal static class KnownAttributes
{
    /// <summary>HelpSteer2's: URM-LLaMa-3.1-8B and QRM-Gemma-2-27B (their model cards).</summary>
    private static readonly string[] HelpSteer =
        ["helpsteer-helpfulness", "helpsteer-correctness", "helpsteer-coherence", "helpsteer-complexity", "helpsteer-verbosity"];

    /// <summary>ArmoRM-Llama3-8B's and QRM-Llama3.1-8B's (the model card of ArmoRM).</summary>
    private static readonly string[] ArmoRm =
    [
        .. HelpSteer, "ultrafeedback-overall_score", "ultrafeedback-instruction_following", "ultrafeedback-truthfulness",
        "ultrafeedback-honesty", "ultrafeedback-helpfulness", "beavertails-is_safe", "prometheus-score", "argilla-overall_quality",
        "argilla-judge_lm", "code-complexity", "code-style", "code-explanation", "code-instruction-following", "code-readability",
    ];

    /// <summary>The names of so many attributes; empty if no published model has so many.</summary>
    public static IReadOnlyList<string> Of(int attributes) =>
        attributes == HelpSteer.Length ? HelpSteer : attributes == ArmoRm.Length ? ArmoRm : [];
}
