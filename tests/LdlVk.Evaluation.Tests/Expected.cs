using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Evaluation.Tests;

/// <summary>Values computed by other ways: tests/data/evaluation/expected.json.</summary>
internal static class Expected
{
    private static readonly JsonDocument Document = JsonDocument.Parse(File.ReadAllText(Repository.Path("tests", "data", "evaluation", "expected.json")));

    public static JsonElement Of(string name) => Document.RootElement.GetProperty(name);

    public static double Number(JsonElement of, string name) => of.GetProperty(name).GetDouble();

    public static float[] Floats(JsonElement of, string name) => [.. of.GetProperty(name).EnumerateArray().Select(e => e.GetSingle())];
}
