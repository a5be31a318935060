using System.Text.Json;
using LdlVk.Datasets.Items;
using LdlVk.Evaluation.Benchmarks;
using LdlVk.Evaluation.Statistics;

namespace LdlVk.Evaluation.Reports;

/// <summary>Writes a comparison of settings as JSON.</summary>
public static class FidelityJson
{
    /// <summary>Writes the members of a comparison; the caller opens and closes the object.</summary>
    public static void Write(SettingRuns all, string input, Utf8JsonWriter json)
    {
        json.WriteString("input", input);
        json.WriteString("benchmark", JsonParts.Name(all.Results[0].Benchmark));
        json.WriteNumber("lines", all.Lines);
        json.WriteStartObject("baseline");
        WriteRun(json, all, 0);
        json.WriteEndObject();
        JsonParts.Array(json, "candidates", Enumerable.Range(1, all.Comparisons.Count), i =>
        {
            WriteRun(json, all, i);
            WriteComparison(json, all.Comparisons[i - 1]);
        });
    }

    private static void WriteRun(Utf8JsonWriter json, SettingRuns all, int run)
    {
        EvalResult result = all.Results[run];
        json.WriteString("name", all.Runs[run].Name);
        json.WriteString("setting", all.Runs[run].Used);
        json.WriteNumber("right", result.Right);
        JsonParts.WriteNumber(json, "accuracy", result.Accuracy);
        JsonParts.WriteInterval(json, "accuracy_95_wilson", Interval.Wilson(result.Right, result.Examples.Count));
        JsonParts.WriteNumber(json, "score", result.Score);
        JsonParts.Array(json, "subsets", result.Subsets, s =>
        {
            json.WriteString("name", s.Name);
            json.WriteNumber("examples", s.Examples);
            JsonParts.WriteNumber(json, "score", s.Score);
        });
        JsonParts.WriteFailures(json, all.Runs[run].Failures);
    }

    private static void WriteComparison(Utf8JsonWriter json, Fidelity comparison)
    {
        JsonParts.WriteNumber(json, "accuracy_change", comparison.Change);
        JsonParts.WriteInterval(json, "accuracy_change_95_tango", comparison.ChangeInterval);
        json.WriteNumber("p_mcnemar_exact", comparison.PValue);
        ScoreError error = comparison.Error;
        json.WriteStartObject("score_error");
        json.WriteNumber("texts", error.Texts);
        json.WriteNumber("mean", error.Mean);
        json.WriteNumber("rms", error.Rms);
        json.WriteNumber("largest", error.Largest);
        json.WriteNumber("bias", error.Bias);
        JsonParts.WriteNumber(json, "rms_over_spread", error.Relative);
        json.WriteEndObject();
        JsonParts.WriteNumber(json, "spearman", comparison.Spearman);
        JsonParts.WriteNumber(json, "kendall_tau_b", comparison.Kendall);
        json.WriteNumber("to_right", comparison.Gained);
        json.WriteNumber("to_wrong", comparison.Lost);
        JsonParts.Array(json, "flips", comparison.Flips, f =>
        {
            json.WriteNumber("line", f.Baseline.Line);
            RewardJson.WriteId(json, f.Baseline.Id);
            json.WriteString("subset", f.Baseline.Subset);
            json.WriteNumber("margin_baseline", f.Baseline.Margin);
            json.WriteNumber("margin", f.Candidate.Margin);
        });
    }
}
