using System.Text.Json;
using LdlVk.Evaluation.Steps;

namespace LdlVk.Evaluation.Reports;

/// <summary>Writes an evaluation on labels of steps as JSON.</summary>
public static class StepJson
{
    /// <summary>Writes the members of an evaluation; the caller opens and closes the object.</summary>
    public static void Write(StepFindings findings, Utf8JsonWriter json)
    {
        StepResult result = findings.Result;
        json.WriteString("model", findings.Model);
        json.WriteString("input", findings.Input);
        json.WriteString("setting", findings.Setting);
        json.WriteString("provenance", findings.Provenance);
        json.WriteString("input_sha256", findings.InputDigest);
        json.WriteString("benchmark", result.Benchmark?.ToLowerInvariant() ?? "step-labels");
        json.WriteString("labels", result.IsEveryStep ? "every wrong step" : "the first wrong step");
        json.WriteNumber("threshold", result.Threshold);
        json.WriteNumber("examples", result.Examples.Count);
        json.WriteNumber("failed", findings.Scorer.Failed);
        json.WriteNumber("repeated", findings.Scorer.Repeated);
        JsonParts.WriteNumber(json, "score", result.Score);
        json.WriteStartArray("missing");
        foreach (string missing in result.Missing) json.WriteStringValue(missing);
        json.WriteEndArray();
        JsonParts.Array(json, "groups", result.Groups.Append(result.All), group =>
        {
            json.WriteString("name", group.Name);
            json.WriteNumber("examples", group.Examples);
            JsonParts.WriteNumber(json, "score", group.Score);
            JsonParts.WriteNumber(json, result.IsEveryStep ? "f1" : "error_accuracy", group.First);
            JsonParts.WriteNumber(json, result.IsEveryStep ? "negative_f1" : "correct_accuracy", group.Second);
        });
        JsonParts.WriteFailures(json, findings.Scorer.Failures);
    }
}
