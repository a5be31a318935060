using System.Text;
using System.Text.Json;
using LdlVk.Datasets.Containers;
using LdlVk.Evaluation.Steps;

namespace LdlVk.Evaluation.Tests.Steps;

/// <summary>Labels of steps by the rules of ProcessBench and PRMBench.</summary>
public sealed class StepResultTests
{
    /// <summary>Classification, numbers of wrong steps, scores. The expected values are those of PRMBench's own <c>evaluate_function</c>.</summary>
    private const string PrmBench = """
        [["redundency", [1, 2], [0.78, 0.25, 0.05, 0.16]], ["circular", [2, 4], [0.54, 0.57, 0.01, 0.22]],
        ["counterfactual", [4], [0.16, 0.8, 0.14, 0.62]], ["step_contradiction", [1, 6], [0.97, 0.01, 0.77]],
        ["domain_inconsistency", [2], [0.31, 0.2, 0.88]], ["confidence", [3], [0.5, 0.97, 0.38]],
        ["missing_condition", [1, 2], [0.94, 0.26]], ["deception", [1, 3], [0.68, 0.34, 0.31, 0.82]],
        ["multi_solutions", [], [0.7, 0.18, 0.47, 0.18, 0.26]], ["redundency", [1, 2], [0.55, 0.42]],
        ["circular", [4], [0.05, 0.18, 0.96, 0.2, 0.76]], ["counterfactual", [3, 5], [0.89, 0.25, 0.46, 0.59, 0.78]],
        ["step_contradiction", [1, 2], [0.95, 0.09, 0.34, 0.61]], ["domain_inconsistency", [1, 2], [0.31, 0.32, 0.18]],
        ["confidence", [2], [1.0, 0.16]], ["missing_condition", [2], [0.03, 0.74]], ["deception", [3, 4], [0.42, 0.06, 0.92, 0.03]],
        ["multi_solutions", [], [0.33, 0.21, 0.98, 0.56, 0.13]], ["redundency", [2], [0.43, 0.15, 0.84, 0.29, 0.45]],
        ["circular", [2, 3], [0.48, 0.29, 0.4]], ["counterfactual", [2], [0.82, 0.53, 0.18]],
        ["step_contradiction", [1, 2], [0.49, 0.52, 0.55, 0.5, 0.06]], ["domain_inconsistency", [3], [0.36, 0.7, 0.28, 0.49]],
        ["confidence", [2, 3], [0.85, 0.47, 0.77, 0.33]], ["missing_condition", [3, 4], [0.65, 0.8, 0.35, 0.64]],
        ["deception", [2, 4], [0.98, 0.96, 0.52, 0.53, 0.17]], ["multi_solutions", [], [0.94, 0.48, 0.69, 0.72]]]
        """;

    [Fact]
    public void PRMBench_has_the_scores_of_its_own_code()
    {
        StepExample[] examples = [.. JsonElement.Parse(PrmBench).EnumerateArray().Select((row, i) => Of(i, row))];
        StepResult result = StepResult.Of(examples, 0.5);
        Assert.Equal("PRMBench", result.Benchmark);
        Assert.Equal(0.47338908017707826, result.Score, 1e-12);
        Assert.Equal(0.5046728971962617, result.All.First, 1e-12);
        Assert.Equal(0.4421052631578947, result.All.Second, 1e-12);
        Dictionary<string, double> expected = new()
        {
            ["redundency"] = 0.3418803418803419, ["circular"] = 0.5804195804195804, ["counterfactual"] = 0.37777777777777777,
            ["step_contradiction"] = 0.41258741258741255, ["domain_inconsistency"] = 0.5833333333333333,
            ["confidence"] = 0.6666666666666665, ["missing_condition"] = 0.5, ["deception"] = 0.38095238095238093, ["multi_solutions"] = 0.6,
        };
        foreach ((string name, double score) in expected) Assert.Equal(score, result.Groups.Single(g => g.Name == name).Score, 1e-12);
        // A category is the mean of its classifications.
        Assert.Equal(["simplicity", "redundency", "circular"], result.Groups.Take(3).Select(g => g.Name));
        Assert.Equal((expected["redundency"] + expected["circular"]) / 2, result.Groups[0].Score, 1e-12);
        Assert.Empty(result.Missing);
    }

    [Fact]
    public void ProcessBench_is_the_mean_of_the_harmonic_means_of_its_parts()
    {
        StepExample[] examples =
        [
            First("math-0", 1, 0.9f, 0.2f, 0.1f), First("math-1", 1, 0.5f, 0.2f), First("math-2", -1, 0.9f, 0.51f), First("math-3", 0, 0.1f),
            First("gsm8k-0", -1, 0.9f), First("gsm8k-1", -1, 0.4f), First("gsm8k-2", 2, 0.9f, 0.9f, 0.3f),
        ];
        StepResult result = StepResult.Of(examples, 0.5);
        // 2 of 3 wrong ones are found and 1 of 1 right one is; a score of exactly the threshold is not above it.
        double math = 2 * (2 / 3.0) / (1 + (2 / 3.0)), gsm8k = 2 * 0.5 / 1.5;
        Assert.Equal(("ProcessBench", "gsm8k", "math"), (result.Benchmark, result.Groups[0].Name, result.Groups[1].Name));
        Assert.Equal((gsm8k, math), (result.Groups[0].Score, result.Groups[1].Score));
        Assert.Equal((gsm8k + math) / 2, result.Score, 1e-12);
        Assert.Equal(["olympiadbench", "omnimath"], result.Missing);
        // At a lower threshold another step is the first wrong one.
        Assert.Equal(1, examples[1].Prediction(0.45));
    }

    [Theory]
    [InlineData("\"gsm8k-0\"", "ProcessBench")]
    [InlineData("\"gsm8k-0a\"", null)]
    [InlineData("\"other-0\"", null)]
    [InlineData("0", null)]
    public void A_benchmark_s_name_is_given_only_for_its_own_lines(string id, string? name)
    {
        StepResult result = StepResult.Of([new StepExample(0, id, StepBenchmarks.PartOf(id), false, [], [0.9f])], 0.5);
        Assert.Equal(name, result.Benchmark);
        Assert.True(double.IsNaN(result.Score));
    }

    [Fact]
    public void A_classification_that_PRMBench_lacks_has_no_score_of_its_name() =>
        Assert.Null(StepResult.Of([new StepExample(0, "0", "circular", true, [0], [1]), new StepExample(1, "1", "mine", true, [], [1])], 0.5).Benchmark);

    [Fact]
    public void A_line_of_PRMBench_gives_its_modified_process_without_numbers()
    {
        StepLine line = Parse("""
            {"original_question":"o","modified_question":"m","question":"o","original_process":["x"],"modified_process":[" Step 1. a ","2. b","step 3.c"],
            "error_steps":[3,9,3],"classification":"circular","idx":"circular_1","reason":"r"}
            """.ReplaceLineEndings(""));
        Assert.Null(line.Texts.Error);
        Assert.Equal(["a", "b", "c"], line.Texts.Item.Conversations[0].Steps!);
        Assert.Equal("m", line.Texts.Item.Conversations[0].Messages[0].Content);
        Assert.Equal([2], line.Wrong);
        Assert.Equal(("circular", "circular_1", 3), (line.Group, line.Key, line.Steps));
    }

    [Theory]
    [InlineData("""{"problem":"p","steps":["a","b"],"label":2}""", "label is 2, but the line has 2 steps")]
    [InlineData("""{"problem":"p","steps":["a"],"label":-2}""", "label is -2")]
    [InlineData("""{"problem":"p","steps":["a"],"label":true}""", "label is true, not an integer")]
    [InlineData("""{"problem":"p","steps":["a"],"label":0.5}""", "label is 0.5, not an integer")]
    [InlineData("""{"problem":"p","steps":["a",1],"label":0}""", "steps[1]")]
    [InlineData("""{"problem":"p","steps":[],"label":-1}""", "steps is empty")]
    [InlineData("""{"problem":"p","steps":["a"],"label":0,"response":"r"}""", "do not go together")]
    [InlineData("""{"problem":"p","steps":["a"],"label":0,"tools":[1]}""", "tools would be a part of the text")]
    [InlineData("""{"modified_process":["a"],"error_steps":[1]}""", "modified_question is missing")]
    [InlineData("""{"modified_question":"q","modified_process":["a"],"error_steps":["1"]}""", "error_steps is \"1\"")]
    [InlineData("""{"prompt":"p","chosen":"a","rejected":"b"}""", "no labels of steps")]
    public void A_line_that_is_not_whole_is_refused(string line, string reason) =>
        Assert.Contains(reason, Parse(line).Texts.Error, StringComparison.Ordinal);

    [Fact]
    public void A_system_message_beside_is_read() => Assert.Equal(
        ["s", "p", "a\nb"], Parse("""{"problem":"p","system":"s","steps":["a","b"],"label":-1}""").Texts.Item.Conversations[0].Messages.Select(m => m.Content));

    private static StepLine Parse(string line) => StepLine.Parse(new RawLine(0, Encoding.UTF8.GetBytes(line)));

    private static StepExample First(string id, int label, params float[] scores) =>
        new(0, $"\"{id}\"", StepBenchmarks.PartOf($"\"{id}\""), false, label < 0 ? [] : [label], scores);

    private static StepExample Of(int line, JsonElement row)
    {
        float[] scores = [.. row[2].EnumerateArray().Select(score => score.GetSingle())];
        int[] wrong = [.. row[1].EnumerateArray().Select(step => step.GetInt32() - 1).Where(step => step < scores.Length)];
        return new StepExample(line, $"{line}", row[0].GetString(), true, wrong, scores);
    }
}
