using System.Globalization;
using System.Text.Json;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Json;

namespace LdlVk.Runtime.Model.Heads;

/// <summary>
/// Names of attributes: those that config.json gives its outputs, or those of the published model whose class it names. The number of
/// attributes alone says nothing of their meaning.
/// </summary>
internal static class KnownAttributes
{
    /// <summary>The class of ArmoRM and QRM-Llama, which multiplies objectives by a transform matrix.</summary>
    public const string Gating = "LlamaForRewardModelWithGating";

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

    /// <summary>The classes of published models, with their attributes; later versions of a class have a longer name.</summary>
    private static readonly (string Class, string[] Names)[] Published =
    [
        (Gating, ArmoRm), ("Gemma2ForQuantileSequenceClassification", HelpSteer),
        ("LlamaForSequenceClassificationWithNormal_Weights", HelpSteer),
    ];

    /// <summary>The names of a head's attributes.</summary>
    /// <param name="folder">The checkpoint.</param>
    /// <param name="attributes">Number of attributes.</param>
    /// <param name="word">What an attribute without a name is called, before its number.</param>
    public static IReadOnlyList<string> Of(CheckpointFolder folder, int attributes, string word) => folder.ReadConfig(fields =>
        Labels(fields.Root, attributes)
        ?? Published.FirstOrDefault(known => known.Names.Length == attributes && HasClass(fields.Root, known.Class)).Names
        ?? (IReadOnlyList<string>)[.. Enumerable.Range(0, attributes).Select(i => FormattableString.Invariant($"{word} {i}"))]);

    /// <summary>The names in <c>id2label</c>; null unless there is one for each attribute, which a person wrote.</summary>
    private static string[]? Labels(JsonField root, int attributes)
    {
        if (!root.TryGet("id2label", out JsonField field) || field.Value.ValueKind != JsonValueKind.Object) return null;
        string[] names = [.. Enumerable.Repeat("", attributes)];
        int count = 0;
        foreach (JsonProperty label in field.Members())
        {
            if (++count > attributes || label.Value.ValueKind != JsonValueKind.String
                || !int.TryParse(label.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int id) || id >= attributes)
                return null;
            string name = label.Value.GetString()!;
            // transformers' default, which says nothing.
            names[id] = name.StartsWith("LABEL_", StringComparison.Ordinal) || string.IsNullOrWhiteSpace(name) ? "" : name;
        }

        return names.Distinct(StringComparer.Ordinal).Count() == attributes && !names.Contains("") ? names : null;
    }

    /// <summary>Whether config.json names a class, or a later version of it.</summary>
    public static bool HasClass(JsonField root, string published) =>
        root.TryGet("architectures", out JsonField classes) && classes.Value.ValueKind == JsonValueKind.Array
        && classes.Items().Any(name => name.ValueKind == JsonValueKind.String
            && name.GetString()!.StartsWith(published, StringComparison.Ordinal));
}
