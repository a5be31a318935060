using System.Text.Json;
using LdlVk.Datasets.Items;
using LdlVk.Evaluation.Benchmarks;
using LdlVk.Evaluation.Statistics;

namespace LdlVk.Evaluation.Reports;

/// <summary>Parts of the JSON of evaluations and comparisons.</summary>
internal static class JsonParts
{
    /// <summary>Returns the benchmark's name in JSON.</summary>
    public static string Name(Benchmark benchmark) => benchmark switch
    {
        Benchmark.RewardBench1 => "rewardbench-1",
        Benchmark.RewardBench2 => "rewardbench-2",
        Benchmark.RmBench => "rm-bench",
        Benchmark.PpeCorrectness => "ppe-correctness",
        _ => "pairs",
    };

    /// <summary>Writes a number, or null if it is not finite.</summary>
    public static void WriteNumber(Utf8JsonWriter json, string name, double value)
    {
        if (double.IsFinite(value)) json.WriteNumber(name, value);
        else json.WriteNull(name);
    }

    /// <summary>Writes the first failed lines.</summary>
    public static void WriteFailures(Utf8JsonWriter json, IReadOnlyList<FailedLine> failures) => Array(json, "errors", failures, f =>
    {
        json.WriteNumber("line", f.Number);
        RewardJson.WriteId(json, f.Id);
        json.WriteString("error", f.Error);
    });

    /// <summary>Writes a list of objects.</summary>
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

    /// <summary>Writes an interval as a list of two numbers.</summary>
    public static void WriteInterval(Utf8JsonWriter json, string name, Interval interval)
    {
        json.WriteStartArray(name);
        json.WriteNumberValue(interval.Low);
        json.WriteNumberValue(interval.High);
        json.WriteEndArray();
    }
}
