using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>
/// Texts in steps with Qwen's own tokenizer, from the command line to the scores. The ids are those of the Rust library tokenizers for the
/// text that the model's published code writes; the scores are the golden checkpoint's for them.
/// </summary>
public sealed class StepTextTests : IDisposable
{
    private const string Qwen = "qwen2_prm", Skywork = "skywork_o1_prm", Question = "What is 2 + 3·4?";

    private static readonly string[] Steps = ["First, 3·4 = 12.", "Then\n2 + 12 = 14. ", "So the answer is \\boxed{14}."];

    private readonly TempFolder _temp = new();

    public void Dispose() => _temp.Dispose();

    [Fact]
    public async Task Steps_of_Qwen_are_marked_by_its_token()
    {
        string model = Model(Qwen);
        string marked = string.Concat(Steps.Select(step => step + StepModel.Token));
        string text = StepModel.Text(("user", Question), ("assistant", marked));
        int[] ids = ReferenceTokenizers.Ids(Path.Combine(model, "tokenizer.json"), text)[0];
        int[] ends = [.. Enumerable.Range(0, ids.Length).Where(i => ids[i] == 151651)];
        Assert.Equal(3, ends.Length);
        double[] scores = await GoldenAsync(Qwen, ids, ends);
        object[] same =
        [
            new { prompt = Question, steps = Steps },
            new { prompt = Question, response = marked },
            new { messages = new[] { new { role = "user", content = Question }, new { role = "assistant", content = marked } } },
            new { text },
            new { input_ids = ids },
            new { input_ids = ids, step_positions = ends },
            new { prompt = Question, steps = (string[][])[Steps, [Steps[0]]] },
        ];
        Outcome run = await ScoreAsync(model, same);
        Assert.Equal(0, run.Code);
        foreach (JsonElement line in run.Lines[..^1]) AreNear(scores, Numbers(line.GetProperty("steps")));
        AreNear(scores, Numbers(run.Lines[^1].GetProperty("steps")[0]));
        AreNear(scores[..1], Numbers(run.Lines[^1].GetProperty("steps")[1]));
        Assert.Equal(scores.Aggregate((a, b) => a * b), run.Lines[0].GetProperty("score").GetDouble(), 1e-5);
        // A text is divided by what the user says; marks in it are too many then.
        foreach (string end in (string[])["", "\n\n"])
        {
            Outcome divided = await ScoreAsync(model, [new { prompt = Question, response = string.Join("\n\n", Steps) + end }, same[1]], "--step-separator", "\\n\\n");
            AreNear(scores, Numbers(divided.Lines[0].GetProperty("steps")));
            Assert.Contains("4 step tokens <extra_0> for 1 steps", divided.ErrorOf(1), StringComparison.Ordinal);
        }

        // render shows the same.
        Outcome rendered = await Cli.RunAsync("render", "--model", model, "--ids", "--input", Input(same[..1]));
        Assert.Equal(text, rendered.Lines[0].GetProperty("text").GetString());
        Assert.Equal(ids, rendered.Lines[0].GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()));
        Assert.Equal(ends, rendered.Lines[0].GetProperty("step_positions").EnumerateArray().Select(id => id.GetInt32()));
        Assert.Equal(text, (await Cli.RunAsync("render", "--model", model, "--input", Input(same[..1]))).Lines[0].GetProperty("text").GetString());
        Assert.Contains(text, (await ScoreAsync(model, same[..1], "--show-text", "1")).Error, StringComparison.Ordinal);
        // The best of two is that with the higher product.
        Outcome ranked = await Cli.RunAsync("rank", "--model", model, "--device", "cpu", "--weights", "fp32", "--json", "--input", Input(same[^1..]));
        double[] products = [.. ranked.Lines[0].GetProperty("ranking").EnumerateArray().Select(entry => entry.GetProperty("score").GetDouble())];
        Assert.Equal([scores[0], scores.Aggregate((a, b) => a * b)], products, (a, b) => Math.Abs(a - b) < 1e-5);
    }

    [Theory]
    [InlineData("""{"prompt":"q","response":"no steps"}""", "no steps", false)]
    [InlineData("""{"prompt":"q <extra_0>","steps":["a"]}""", "2 step tokens <extra_0> for 1 steps", false)]
    [InlineData("""{"prompt":"q","steps":["a <extra_0> b"]}""", "2 step tokens <extra_0> for 1 steps", true)]
    [InlineData("""{"prompt":"q","steps":["a","\n "]}""", "empty", true)]
    [InlineData("""{"prompt":"q","response":"a<extra_0>b"}""", "text behind its last <extra_0>, which is in no step", true)]
    [InlineData("""{"prompt":"q","response":"a<extra_0> <extra_0>"}""", "step 1 of 2 (counted from 0) is empty", true)]
    [InlineData("""{"prompt":"q","response":"<extra_0>a<extra_0>"}""", "step 0 of 2 (counted from 0) is empty", true)]
    [InlineData("""{"text":"a"}""", "no steps", false)]
    public async Task Texts_without_proper_steps_are_errors(string line, string message, bool isSeenInText)
    {
        Outcome run = await Cli.RunAsync("score", "--model", Model(Qwen), "--device", "cpu", "--input", _temp.Write("i.jsonl", line));
        Assert.Equal(3, run.Code);
        Assert.Contains(message, run.ErrorOf(0), StringComparison.Ordinal);
        Outcome rendered = await Cli.RunAsync("render", "--model", Model(Qwen), "--input", _temp["i.jsonl"]);
        if (isSeenInText) Assert.Equal(run.ErrorOf(0), rendered.ErrorOf(0));
        else Assert.Equal(0, rendered.Code);
    }

    /// <summary>
    /// Its code: the ids of bos_token + question + "\n"; then for each part of the response between line breaks, empty ones included, the
    /// ids of the part and that of "\n", which is the step's end.
    /// </summary>
    [Theory]
    [InlineData("<|endoftext|>", "First, 3·4 = 12.\nThen 2 + 12 = 14.")]
    [InlineData("<|endoftext|>", "One.\n\n  Two.\n\n\nThree.\n")]
    [InlineData("<|endoftext|>", "\nOne.")]
    [InlineData("<|endoftext|>", "")]
    [InlineData(null, "One.\nTwo.")]
    public async Task Steps_of_Skywork_end_at_line_breaks(string? bos, string response)
    {
        string model = Model(Skywork, bos);
        string[] parts = response.Split('\n');
        int[][] encoded = ReferenceTokenizers.Ids(Path.Combine(model, "tokenizer.json"), [$"{bos}{Question}\n", "\n", .. parts]);
        List<int> ids = [.. encoded[0]], ends = [];
        foreach (int[] part in encoded[2..])
        {
            ids.AddRange(part);
            ends.Add(ids.Count);
            ids.Add(encoded[1][^1]);
        }

        double[] scores = await GoldenAsync(Skywork, ids, ends);
        object[] same = [new { prompt = Question, response }, new { input_ids = ids, step_positions = ends }];
        if (parts.All(part => part.Trim().Length > 0)) same = [.. same, new { prompt = Question, steps = parts }];
        Outcome run = await ScoreAsync(model, same);
        Assert.Equal(0, run.Code);
        foreach (JsonElement line in run.Lines) AreNear(scores, Numbers(line.GetProperty("steps")));
        Assert.All(run.Lines, line => Assert.Equal(scores[^1], line.GetProperty("score").GetDouble(), 1e-5));
        JsonElement rendered = (await Cli.RunAsync("render", "--model", model, "--ids", "--input", Input(same[..1]))).Lines[0];
        Assert.Equal($"{bos}{Question}\n{response}\n", rendered.GetProperty("text").GetString());
        Assert.Equal(ids, rendered.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()));
    }

    [Fact]
    public async Task Another_separator_divides_for_Skywork_too()
    {
        string model = Model(Skywork, "<|endoftext|>");
        Outcome run = await ScoreAsync(model, [new { prompt = "q", response = "a ## b\nc ## " }, new { prompt = "q", steps = (string[])["a", "b\nc"] }], "--step-separator", " ## ");
        Assert.Equal(Numbers(run.Lines[1].GetProperty("steps")), Numbers(run.Lines[0].GetProperty("steps")));
        Assert.Equal(2, run.Lines[0].GetProperty("steps").GetArrayLength());
        Outcome empty = await ScoreAsync(model, [new { prompt = "q", response = "a ##  ## b" }], "--step-separator", " ## ");
        Assert.Contains("step 1 of 3 (counted from 0) is empty", empty.ErrorOf(0), StringComparison.Ordinal);
        Outcome turns = await ScoreAsync(model, [new { system = "s", prompt = "q", response = "a" }]);
        Assert.Contains("one question and one response", turns.ErrorOf(0), StringComparison.Ordinal);
    }

    private Task<Outcome> ScoreAsync(string model, IEnumerable<object> items, params string[] flags) =>
        Cli.RunAsync(["score", "--model", model, "--device", "cpu", "--weights", "fp32", "--input", Input(items), .. flags]);

    private string Input(IEnumerable<object> items) => _temp.Write("input.jsonl", string.Join('\n', items.Select(item => JsonSerializer.Serialize(item))));

    private string Model(string name, string? bos = null)
    {
        Assert.SkipWhen(FetchedTokenizer.Qwen3.File.Path is null, FetchedTokenizer.Qwen3.File.WhyNot ?? "");
        Assert.SkipWhen(ReferenceTokenizers.WhyNot is not null, ReferenceTokenizers.WhyNot ?? "");
        StepModel.Write(_temp["model"], name, FetchedTokenizer.Qwen3.File.Path!, bos);
        return _temp["model"];
    }

    /// <summary>The scores of the golden checkpoint, which the goldens hold to the reference.</summary>
    private async Task<double[]> GoldenAsync(string name, IEnumerable<int> ids, IEnumerable<int> ends)
    {
        string line = JsonSerializer.Serialize(new { input_ids = StepModel.GoldenIds(name, ids), step_positions = ends });
        Outcome run = await Cli.RunAsync(
            "score", "--model", Path.Combine(FamilyGoldens.Folder, name), "--device", "cpu", "--weights", "fp32", "--input", _temp.Write("golden.jsonl", line));
        return Numbers(run.Lines[0].GetProperty("steps"));
    }

    private static double[] Numbers(JsonElement list) => [.. list.EnumerateArray().Select(n => n.GetDouble())];

    private static void AreNear(double[] want, double[] got) => Assert.Equal(want, got, (a, b) => Math.Abs(a - b) < 1e-6);
}
