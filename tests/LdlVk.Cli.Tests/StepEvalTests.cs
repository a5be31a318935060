using System.Text;
using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary><c>eval</c> on labels of steps, with a golden process reward model and a tokenizer of bytes.</summary>
public sealed class StepEvalTests : IDisposable
{
    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    [Fact]
    public async Task The_steps_that_eval_labels_are_those_that_score_scores()
    {
        string model = Model();
        (string Problem, string[] Steps, int Label)[] rows =
            [("2+2?", ["Two and two", "is 4."], -1), ("3*3?", ["is 6.", "So 6."], 0), ("1?", ["One.", "Two.", "Three."], 1), ("x?", ["y"], -1)];
        string input = _temp.Write("in.jsonl", string.Join('\n', rows.Select((row, i) => JsonSerializer.Serialize(
            new { id = $"math-{i}", problem = row.Problem, steps = row.Steps, label = row.Label }))));
        string plain = _temp.Write("plain.jsonl", string.Join('\n', rows.Select(row => JsonSerializer.Serialize(
            new { prompt = row.Problem, steps = row.Steps }))));
        Outcome scored = await Cli.RunAsync("score", "--model", model, "--device", "cpu", "--input", plain, "--quiet");
        double[][] steps = [.. scored.Lines.Select(line => line.GetProperty("steps").EnumerateArray().Select(s => s.GetDouble()).ToArray())];
        // A threshold among the scores, so that lines are right and wrong.
        double threshold = Math.Round(steps.SelectMany(s => s).Order().ElementAt(3), 4);
        string output = _temp["out.jsonl"], report = _temp["report.html"];
        Outcome run = await Cli.RunAsync("eval", "--model", model, "--device", "cpu", "--input", input, "--json", "--output", output,
            "--report", report, "--step-threshold", threshold.ToString(System.Globalization.CultureInfo.InvariantCulture));
        Assert.Equal(0, run.Code);
        JsonElement[] lines = [.. File.ReadLines(output).Select(line => JsonElement.Parse(line))];
        Assert.Equal(steps, lines.Select(line => line.GetProperty("step_scores").EnumerateArray().Select(s => s.GetDouble()).ToArray()));
        bool[] match = [.. rows.Select((row, i) => Array.FindIndex(steps[i], s => s <= threshold) == row.Label)];
        Assert.Equal(match, lines.Select(line => line.GetProperty("match").GetBoolean()));
        double wrong = new[] { match[1], match[2] }.Count(m => m) / 2.0, right = new[] { match[0], match[3] }.Count(m => m) / 2.0;
        JsonElement result = JsonElement.Parse(run.Out);
        Assert.Equal("processbench", result.GetProperty("benchmark").GetString());
        Assert.Equal(wrong + right == 0 ? 0 : 2 * wrong * right / (wrong + right), result.GetProperty("score").GetDouble(), 1e-9);
        Assert.Contains("ProcessBench score", await File.ReadAllTextAsync(report, TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Outcome table = await Cli.RunAsync("eval", "--model", model, "--device", "cpu", "--input", input);
        Assert.Contains("ProcessBench score: mean of the parts' F1", table.Out, StringComparison.Ordinal);
        Assert.Contains("gsm8k, olympiadbench, omnimath are not in the data", table.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PRMBench_s_repeated_lines_are_left_out_and_lines_of_another_form_are_errors()
    {
        string[] lines =
        [
            """{"modified_question":"q","modified_process":["1. a","2. b"],"error_steps":[2],"classification":"circular","idx":"c1"}""",
            """{"modified_question":"q","modified_process":["1. a","2. b"],"error_steps":[1],"classification":"circular","idx":"c1"}""",
            """{"problem":"q","steps":["a"],"label":-1}""",
        ];
        Outcome run = await Cli.RunAsync("eval", "--model", Model(), "--device", "cpu", "--input", _temp.Write("in.jsonl", string.Join('\n', lines)), "--json");
        Assert.Equal(3, run.Code);
        JsonElement result = JsonElement.Parse(run.Out);
        Assert.Equal((1, 1, 1), (Number("examples"), Number("repeated"), Number("failed")));
        Assert.Contains("1 line with the idx and classification of an earlier one is left out", run.Error, StringComparison.Ordinal);
        Assert.Contains("line 2 (counted from 0) is left out: the lines before it label steps in another form", run.Error, StringComparison.Ordinal);

        int Number(string name) => result.GetProperty(name).GetInt32();
    }

    [Theory]
    [InlineData("--step-threshold", "1", "--step-threshold 1 is not from 0 to below 1")]
    [InlineData("--step-threshold", "0.5", "the model scores none")]
    public async Task Labels_of_steps_need_a_model_that_scores_steps(string flag, string value, string message)
    {
        string input = _temp.Write("in.jsonl", """{"problem":"q","steps":["a"],"label":-1}""");
        Outcome run = await Cli.RunAsync("eval", "--model", Repository.Path("models", "ldl-mini"), "--device", "cpu", "--input", input, flag, value);
        Assert.Equal(2, run.Code);
        Assert.Contains(message, run.Error, StringComparison.Ordinal);
        Assert.Equal("", run.Out);
    }

    /// <summary>The golden model with a tokenizer whose tokens are bytes, and a template that writes the contents alone.</summary>
    private string Model()
    {
        string folder = Directory.CreateDirectory(_temp["model"]).FullName;
        foreach (string name in (string[])["config.json", "model.safetensors"])
            File.Copy(Path.Combine(FamilyGoldens.Folder, "qwen2_prm", name), Path.Combine(folder, name));
        int[] visible = [.. Enumerable.Range('!', 94), .. Enumerable.Range(0xa1, 12), .. Enumerable.Range(0xae, 82)];
        int hidden = 0;
        Dictionary<string, int> vocabulary = Enumerable.Range(0, 256).ToDictionary(
            b => $"{(char)(visible.Contains(b) ? b : 256 + hidden++)}", b => b);
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), JsonSerializer.Serialize(new
        {
            version = "1.0",
            added_tokens = new[] { new { id = 256, content = "<extra_0>", single_word = false, lstrip = false, rstrip = false, normalized = false, special = true } },
            normalizer = (object?)null,
            pre_tokenizer = new { type = "ByteLevel", add_prefix_space = false, trim_offsets = true, use_regex = true },
            post_processor = (object?)null,
            decoder = new { type = "ByteLevel", add_prefix_space = true, trim_offsets = true, use_regex = true },
            model = new { type = "BPE", vocab = vocabulary, merges = Array.Empty<string>() },
        }), new UTF8Encoding(false));
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"),
            """{"chat_template":"{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"}""");
        return folder;
    }
}
