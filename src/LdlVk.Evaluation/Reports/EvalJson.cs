using System.Text.Json;
using LdlVk.Datasets.Items;
using LdlVk.Evaluation.Benchmarks;
using LdlVk.Evaluation.Statistics;

namespace LdlVk.Evaluation.Reports;

/// <summary>Writes an evaluation as JSON.</summary>
public static class EvalJson
{
    /// <summary>Writes the members of an evaluation; the caller opens and closes the object.</summary>
    public static void Write(EvalFindings findings, Utf8JsonWriter json)
    {
        EvalResult result = findings.Result;
        json.WriteString("model", findings.Model);
        json.WriteString("input", findings.Input);
        json.WriteString("setting", findings.Setting);
        json.WriteString("provenance", findings.Provenance);
        json.WriteString("input_sha256", findings.InputDigest);
        json.WriteString("benchmark", JsonParts.Name(result.Benchmark));
        json.WriteNumber("examples", result.Examples.Count);
        json.WriteNumber("failed", findings.Failed);
        json.WriteNumber("equal_by_truncation", findings.EqualByTruncation);
        JsonParts.WriteNumber(json, "score", result.Score);
        json.WriteStartArray("missing");
        foreach (string missing in result.Missing) json.WriteStringValue(missing);
        json.WriteEndArray();
        json.WriteNumber("right", result.Right);
        JsonParts.WriteNumber(json, "accuracy", result.Accuracy);
        JsonParts.WriteInterval(json, "accuracy_95", Interval.Wilson(result.Right, result.Examples.Count));
        JsonParts.Array(json, "sections", result.Sections, s =>
        {
            json.WriteString("name", s.Name);
            json.WriteNumber("examples", s.Examples);
            JsonParts.WriteNumber(json, "score", s.Score);
        });
        JsonParts.Array(json, "subsets", result.Subsets, s =>
        {
            json.WriteString("name", s.Name);
            json.WriteNumber("examples", s.Examples);
            JsonParts.WriteNumber(json, "score", s.Score);
            if (s.Interval is { } range) JsonParts.WriteInterval(json, "score_95", range);
        });
        if (result.Ties is { } ties) WriteTies(json, ties);
        WriteCalibration(json, findings.Calibration);
        JsonParts.Array(json, "attributes", findings.Attributes.Attributes.Index(), a =>
        {
            json.WriteString("name", findings.AttributeNames[a.Index]);
            JsonParts.WriteNumber(json, "mean_weight", a.Item.MeanWeight);
            JsonParts.WriteNumber(json, "mean_chosen", a.Item.MeanChosen);
            JsonParts.WriteNumber(json, "mean_rejected", a.Item.MeanRejected);
            JsonParts.WriteNumber(json, "agreement", a.Item.Agreement);
        });
        JsonParts.Array(json, "worst_misses", findings.Misses, m =>
        {
            RewardJson.WriteId(json, m.Example.Id);
            json.WriteString("subset", m.Example.Subset);
            json.WriteNumber("margin", m.Example.Margin);
        });
        JsonParts.WriteFailures(json, findings.Failures);
    }

    private static void WriteTies(Utf8JsonWriter json, TiesScore ties)
    {
        json.WriteStartObject("ties");
        json.WriteNumber("prompts", ties.Prompts);
        JsonParts.WriteNumber(json, "score", ties.Overall);
        JsonParts.WriteNumber(json, "tied_accuracy", ties.TiedAccuracy);
        JsonParts.WriteNumber(json, "reference_accuracy", ties.ReferenceAccuracy);
        JsonParts.WriteNumber(json, "preferred", ties.Preferred);
        JsonParts.WriteNumber(json, "preferred_hard", ties.PreferredHard);
        JsonParts.WriteNumber(json, "margin_score", ties.MarginScore);
        json.WriteEndObject();
    }

    private static void WriteCalibration(Utf8JsonWriter json, Calibration calibration)
    {
        json.WriteStartObject("calibration");
        JsonParts.WriteNumber(json, "expected_error", calibration.ExpectedError);
        JsonParts.WriteNumber(json, "brier", calibration.Brier);
        JsonParts.WriteNumber(json, "log_loss", calibration.LogLoss);
        JsonParts.Array(json, "bins", calibration.Bins, b =>
        {
            json.WriteNumber("from", b.From);
            json.WriteNumber("to", b.To);
            json.WriteNumber("pairs", b.Count);
            JsonParts.WriteNumber(json, "confidence", b.Confidence);
            JsonParts.WriteNumber(json, "accuracy", b.Accuracy);
        });
        json.WriteEndObject();
    }
}
