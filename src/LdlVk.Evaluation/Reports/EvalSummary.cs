using System.Globalization;
using System.Text.Json;
using LdlVk.Evaluation.Benchmarks;
using LdlVk.Evaluation.Statistics;
using LdlVk.Datasets.Items;
using LdlVk.Runtime;

namespace LdlVk.Evaluation.Reports;

/// <summary>What <c>ldlvk eval</c> found out, on standard output.</summary>
internal static class EvalSummary
{
    /// <summary>The benchmark's name in JSON.</summary>
    public static string Name(Benchmark benchmark) => benchmark switch
    {
        Benchmark.RewardBench1 => "rewardbench-1",
        Benchmark.RewardBench2 => "rewardbench-2",
        _ => "pairs",
    };

    /// <summary>A number; null in JSON where there is none.</summary>
    public static void WriteNumber(Utf8JsonWriter json, string name, double value)
    {
        if (double.IsFinite(value)) json.WriteNumber(name, value);
        else json.WriteNull(name);
    }

    /// <summary>The first lines that failed.</summary>
    public static void WriteFailures(Utf8JsonWriter json, IReadOnlyList<FailedLine> failures) => Array(json, "errors", failures, f =>
    {
        json.WriteNumber("line", f.Number);
        RewardJson.WriteId(json, f.Id);
        json.WriteString("error", f.Error);
    });

    /// <summary>A list of objects.</summary>
    public static void Array<T>(Utf8JsonWriter json, string name, IEnumerable<T> items, Action<T> members)
    {
        json.WriteStartArray(name);
        foreach (T item in items)
        {
            json.WriteStartObject();
            members(item);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>For programs.</summary>
    public static void WriteJson(EvalFindings findings, Utf8JsonWriter json)
    {
        EvalResult result = findings.Result;
        json.WriteString("model", findings.Model);
        json.WriteString("input", findings.Input);
        json.WriteString("setting", findings.Setting);
        json.WriteString("benchmark", Name(result.Benchmark));
        json.WriteNumber("examples", result.Examples.Count);
        json.WriteNumber("failed", findings.Failed);
        WriteNumber(json, "score", result.Score);
        json.WriteStartArray("missing");
        foreach (string missing in result.Missing) json.WriteStringValue(missing);
        json.WriteEndArray();
        json.WriteNumber("right", result.Right);
        WriteNumber(json, "accuracy", result.Accuracy);
        WriteInterval(json, "accuracy_95", Interval.Wilson(result.Right, result.Examples.Count));
        Array(json, "sections", result.Sections, s =>
        {
            json.WriteString("name", s.Name);
            json.WriteNumber("examples", s.Examples);
            WriteNumber(json, "score", s.Score);
        });
        Array(json, "subsets", result.Subsets, s =>
        {
            json.WriteString("name", s.Name);
            json.WriteNumber("examples", s.Examples);
            WriteNumber(json, "score", s.Score);
            if (s.Interval is { } range) WriteInterval(json, "score_95", range);
        });
        if (result.Ties is { } ties) WriteTies(json, ties);
        WriteCalibration(json, findings.Calibration);
        Array(json, "attributes", findings.Attributes.Attributes.Index(), a =>
        {
            json.WriteString("name", findings.AttributeNames[a.Index]);
            WriteNumber(json, "mean_weight", a.Item.MeanWeight);
            WriteNumber(json, "mean_chosen", a.Item.MeanChosen);
            WriteNumber(json, "mean_rejected", a.Item.MeanRejected);
            WriteNumber(json, "agreement", a.Item.Agreement);
        });
        Array(json, "worst_misses", findings.Misses, m =>
        {
            RewardJson.WriteId(json, m.Example.Id);
            json.WriteString("subset", m.Example.Subset);
            json.WriteNumber("margin", m.Example.Margin);
        });
        WriteFailures(json, findings.Failures);
    }

    /// <summary>For people.</summary>
    public static void Show(EvalFindings findings, Screen screen)
    {
        EvalResult result = findings.Result;
        int width = Math.Clamp(result.Subsets.Select(s => s.Name.Length + 2).DefaultIfEmpty().Max(), 12, 32);
        foreach (SectionResult section in result.Sections)
        {
            screen.Line($"[bold]{Row(section.Name, section.Score, section.Examples, null, width)}[/]");
            foreach (SubsetResult subset in result.Subsets.Where(s => s.Section == section.Name)) Subset(subset, "  ");
        }

        foreach (SubsetResult subset in result.Subsets.Where(s => s.Section is null)) Subset(subset, "");
        screen.Line();
        if (result.Benchmark != Benchmark.Pairs) screen.Line($"[bold]{Row("score", result.Score, result.Examples.Count, null, width)}[/]  {findings.ScoreName}");
        if (findings.Incomplete is { } incomplete) screen.Line(Screen.Safe(incomplete));
        screen.Line($"[bold]{Row("all lines", result.Accuracy, result.Examples.Count, Interval.Wilson(result.Right, result.Examples.Count), width)}[/]");
        screen.Line(string.Create(CultureInfo.InvariantCulture,
            $"calibration error {EvalReport.Number(findings.Calibration.ExpectedError, "0.000")}, log loss {EvalReport.Number(findings.Calibration.LogLoss, "0.000")}, {Readable.Plural(result.Examples.Count - result.Right, "line")} wrong"));

        void Subset(SubsetResult subset, string indent) => screen.Line(Row(indent + subset.Name, subset.Score, subset.Examples, subset.Interval, width));
    }

    private static string Row(string name, double score, int examples, Interval? interval, int width)
    {
        string range = interval is { } i ? $"  {AccuracyChart.Percent(i.Low),7} to {AccuracyChart.Percent(i.High),7}" : "";
        return $"{Screen.Safe(Readable.OneLine(name, width).PadRight(width))} {AccuracyChart.Percent(score),7} {Readable.Count(examples),7}{range}";
    }

    /// <summary>An interval as a list of two.</summary>
    public static void WriteInterval(Utf8JsonWriter json, string name, Interval interval)
    {
        json.WriteStartArray(name);
        json.WriteNumberValue(interval.Low);
        json.WriteNumberValue(interval.High);
        json.WriteEndArray();
    }

    private static void WriteTies(Utf8JsonWriter json, TiesScore ties)
    {
        json.WriteStartObject("ties");
        json.WriteNumber("prompts", ties.Prompts);
        WriteNumber(json, "score", ties.Overall);
        WriteNumber(json, "tied_accuracy", ties.TiedAccuracy);
        WriteNumber(json, "reference_accuracy", ties.ReferenceAccuracy);
        WriteNumber(json, "preferred", ties.Preferred);
        WriteNumber(json, "preferred_hard", ties.PreferredHard);
        WriteNumber(json, "margin_score", ties.MarginScore);
        json.WriteEndObject();
    }

    private static void WriteCalibration(Utf8JsonWriter json, Calibration calibration)
    {
        json.WriteStartObject("calibration");
        WriteNumber(json, "expected_error", calibration.ExpectedError);
        WriteNumber(json, "brier", calibration.Brier);
        WriteNumber(json, "log_loss", calibration.LogLoss);
        Array(json, "bins", calibration.Bins, b =>
        {
            json.WriteNumber("from", b.From);
            json.WriteNumber("to", b.To);
            json.WriteNumber("pairs", b.Count);
            WriteNumber(json, "confidence", b.Confidence);
            WriteNumber(json, "accuracy", b.Accuracy);
        });
        json.WriteEndObject();
    }
}
