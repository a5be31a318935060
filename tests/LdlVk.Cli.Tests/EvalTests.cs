using System.IO.Compression;
using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>ldlvk eval.</summary>
[Trait("Duration", "Long")]
public class EvalTests
{
    internal static readonly string Pairs = Repository.Path("tests", "data", "ldl-mini", "eval-permissive.jsonl");

    private static readonly string[] Model = ["--model", Cli.Mini, "--device", "cpu"];

    [Fact]
    public async Task Fp32_scores_are_the_reference_s_and_the_accuracy_is_equal_to_the_pair()
    {
        using TempFolder temp = new();
        Outcome run = await Cli.RunAsync(["eval", .. Model, "--weights", "fp32", "--quiet", "--json", "--input", Pairs, "--output", temp["out.jsonl"]]);
        Assert.Equal((0, ""), (run.Code, run.Error));
        JsonElement[] pairs = [.. File.ReadLines(Pairs).Select(Cli.Json)], outputs = [.. File.ReadLines(temp["out.jsonl"]).Select(Cli.Json)];
        Assert.Equal(pairs.Length, outputs.Length);
        int right = 0;
        foreach ((JsonElement pair, JsonElement output) in pairs.Zip(outputs))
        {
            Assert.Equal(pair.GetProperty("id").GetString(), output.GetProperty("id").GetString());
            double chosen = Number(pair, "chosen_score"), rejected = Number(pair, "rejected_score");
            Assert.Equal(chosen, Number(output, "scores_chosen"), 5e-4);
            Assert.Equal(rejected, Number(output, "scores_rejected"), 5e-4);
            Assert.Equal(chosen > rejected ? 1 : 0, output.GetProperty("results").GetInt32());
            right += chosen > rejected ? 1 : 0;
        }

        JsonElement json = Cli.Json(run.Out);
        Assert.Equal((237, 0, right, "pairs"), (json.GetProperty("examples").GetInt32(), json.GetProperty("failed").GetInt32(), json.GetProperty("right").GetInt32(), json.GetProperty("benchmark").GetString()));
        Assert.Equal((double)right / 237, Number(json, "accuracy"), 1e-12);
        Assert.Equal(22, json.GetProperty("attributes").GetArrayLength());
    }

    [Fact]
    public async Task Pairs_that_truncation_makes_equal_are_counted_and_said()
    {
        using TempFolder temp = new();
        string Long(string middle) => string.Join(' ', Enumerable.Repeat("word", 5000).Append(middle).Concat(Enumerable.Repeat("word", 5000)));
        string Pair(string a, string b) => JsonSerializer.Serialize(new { prompt = "p", chosen = a, rejected = b });
        string input = temp.Write("in.jsonl", string.Join('\n', Pair(Long("one"), Long("two")), Pair("same", "same"), Pair(Long("one"), Long("one")), Pair("good.", "bad")));
        Outcome run = await Cli.RunAsync(["eval", .. Model, "--input", input, "--truncate", "--json", "--report", temp["report.html"]]);
        Assert.Equal(0, run.Code);
        Assert.Contains("1 line has responses that differ only in what --truncate dropped", run.Error, StringComparison.Ordinal);
        Assert.Equal(1, Cli.Json(run.Out).GetProperty("equal_by_truncation").GetInt32());
        Assert.Contains("responses differ only in what was truncated", File.ReadAllText(temp["report.html"]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_summary_and_a_report_say_what_they_were_made_of()
    {
        using TempFolder temp = new();
        string input = temp.Write("in.jsonl", """{"prompt":"a","chosen":"b","rejected":"c"}""");
        Outcome run = await Cli.RunAsync(["eval", .. Model, "--input", input, "--quiet", "--json", "--report", temp["report.html"]]);
        JsonElement json = Cli.Json(run.Out);
        string digest = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(input)));
        Assert.Equal(digest, json.GetProperty("input_sha256").GetString());
        string provenance = json.GetProperty("provenance").GetString()!, report = File.ReadAllText(temp["report.html"]);
        Assert.Matches("^ldlvk [0-9].*, model [0-9a-f]{32}, device cpu .*, weights fp16, .*template gemma2", provenance);
        Assert.Contains(digest, report, StringComparison.Ordinal);
        Assert.Contains(provenance, report, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_outputs_file_has_the_fields_of_RewardBench_s_own()
    {
        using TempFolder temp = new();
        string input = temp.Write("in.jsonl", """{"prompt":"a","chosen":"b ","rejected":"c","subset":"donotanswer","id":7,"chosen_model":"m","results":9}""" + "\n");
        Outcome run = await Cli.RunAsync(["eval", .. Model, "--input", input, "--quiet", "--output", temp["out.jsonl"]]);
        JsonElement line = Cli.Json(File.ReadAllText(temp["out.jsonl"]));
        Assert.Equal(
            ["prompt", "results", "scores_chosen", "scores_rejected", "text_chosen", "text_rejected", "chosen", "rejected", "subset", "id", "chosen_model"],
            line.EnumerateObject().Select(p => p.Name));
        Assert.Equal("<bos><start_of_turn>user\na<end_of_turn>\n", line.GetProperty("prompt").GetString());
        Assert.Equal("<bos><start_of_turn>user\na<end_of_turn>\n<start_of_turn>model\nb<end_of_turn>\n", line.GetProperty("text_chosen").GetString());
        Assert.Matches("(?m)^Safety +\\S+ %", run.Out);
        Assert.Contains("Not comparable with the leaderboard: Chat, Chat Hard, Reasoning are not in the data.", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RewardBench_2_lines_score_as_their_texts_do()
    {
        const string Lines = """
            {"id":"f1","prompt":"Define \"sea\".","chosen":["A large body of salt water."],"rejected":["A larg boddy fo slat watre.","I cannot help.","No."],"subset":"Factuality","num_correct":1}
            {"id":"ref:1","prompt":"Name a color.","chosen":["Red."],"rejected":["Seven.","I cannot help."],"subset":"Ties","num_correct":1}
            {"id":"tied:1","prompt":"Name a color of the rainbow.","chosen":["Red.","Green."],"rejected":["Seven."],"subset":"Ties","num_correct":2}
            """;
        using TempFolder temp = new();
        Outcome run = await Cli.RunAsync(["eval", .. Model, "--input", temp.Write("in.jsonl", Lines), "--quiet", "--json", "--output", temp["out.jsonl"]]);
        Assert.Equal((0, ""), (run.Code, run.Error));
        JsonElement[] outputs = [.. File.ReadLines(temp["out.jsonl"]).Select(Cli.Json)];
        Assert.Equal(["text", "scores", "results", "subset", "id", "num_correct"], outputs[0].EnumerateObject().Select(p => p.Name));
        Outcome scores = await Cli.ScoreAsync("""{"prompt":"Define \"sea\".","responses":["A large body of salt water.","A larg boddy fo slat watre.","I cannot help.","No."]}""", "--quiet");
        Assert.Equal(scores.Lines[0].GetProperty("scores").GetRawText(), outputs[0].GetProperty("scores").GetRawText());
        Assert.Equal((1, JsonValueKind.Null), (outputs[0].GetProperty("results").GetInt32(), outputs[2].GetProperty("results").ValueKind));
        JsonElement json = Cli.Json(run.Out);
        Assert.Equal(("rewardbench-2", 1), (json.GetProperty("benchmark").GetString(), json.GetProperty("ties").GetProperty("prompts").GetInt32()));
        Assert.Equal(["Precise IF", "Math", "Safety", "Focus"], json.GetProperty("missing").EnumerateArray().Select(e => e.GetString()));
    }

    [Fact]
    public async Task Lines_that_cannot_be_scored_are_named_and_left_out()
    {
        string huge = string.Concat(Enumerable.Repeat("qj ", 9000));
        string lines = $$"""
            {"prompt":"Define \"sea\".","chosen":"A large body of salt water.","rejected":"I cannot help."}
            nonsense
            {"prompt":"a","chosen":"b","rejected":"{{huge}}"}
            {"prompt":"a"}
            """;
        using TempFolder temp = new();
        string[] call = ["eval", .. Model, "--input", temp.Write("in.jsonl", lines)];
        Outcome run = await Cli.RunAsync([.. call, "--json", "--output", temp["out.jsonl"], "--report", temp["r.html"]]);
        JsonElement json = Cli.Json(run.Out);
        Assert.Equal((3, 1, 3), (run.Code, json.GetProperty("examples").GetInt32(), json.GetProperty("failed").GetInt32()));
        Assert.Equal([1, 2, 3], json.GetProperty("errors").EnumerateArray().Select(e => e.GetProperty("line").GetInt32()));
        Assert.StartsWith("rejected: the text has", json.GetProperty("errors")[1].GetProperty("error").GetString(), StringComparison.Ordinal);
        Assert.Contains("line 1 (counted from 0) is left out: the line is not valid JSON", run.Error, StringComparison.Ordinal);
        Assert.Single(File.ReadLines(temp["out.jsonl"]));
        Assert.Contains("3 lines could not be scored and count nowhere above", File.ReadAllText(temp["r.html"]), StringComparison.Ordinal);
        // With nothing left there is no accuracy, and no accident.
        Outcome none = await Cli.RunAsync(["eval", .. Model, "--input", temp.Write("bad.jsonl", "x\ny\n"), "--json", "--report", temp["bad.html"]]);
        Assert.Equal((3, JsonValueKind.Null), (none.Code, Cli.Json(none.Out).GetProperty("accuracy").ValueKind));
        Outcome empty = await Cli.RunAsync(["eval", .. Model, "--input", temp.Write("empty.jsonl", ""), "--report", temp["empty.html"]]);
        Assert.Equal((0, "No line could be evaluated.\n"), (empty.Code, empty.Out));
    }

    [Fact]
    public async Task A_compressed_file_gives_the_same_as_the_plain_one()
    {
        using TempFolder temp = new();
        string[] lines = [.. File.ReadLines(Pairs).Take(12)];
        string plain = temp.Write("in.jsonl", string.Join('\n', lines));
        using (GZipStream gzip = new(File.Create(temp["in.jsonl.gz"]), CompressionLevel.Fastest)) gzip.Write(File.ReadAllBytes(plain));
        Outcome a = await Cli.RunAsync(["eval", .. Model, "--quiet", "--json", "--input", plain]), b = await Cli.RunAsync(["eval", .. Model, "--quiet", "--json", "--input", temp["in.jsonl.gz"]]);
        Assert.Equal((0, 0), (a.Code, b.Code));
        Assert.Equal(WithoutFile(a.Out), WithoutFile(b.Out));

        static string[] WithoutFile(string json) => [.. json.Split('\n').Where(line => !line.Contains("\"input", StringComparison.Ordinal))];
    }

    [Theory]
    [InlineData("--output - is not possible", "--input", "PAIRS", "--output", "-")]
    [InlineData("--report - is not possible", "--input", "PAIRS", "--report", "-")]
    [InlineData("There is no file /no/such", "--input", "/no/such")]
    [InlineData("Option '--input' is required")]
    public async Task A_wrong_call_exits_with_2(string message, params string[] args) =>
        (await Cli.RunAsync(["eval", .. Model, .. args.Select(a => a == "PAIRS" ? Pairs : a)])).Fails(2, message);

    private static double Number(JsonElement of, string name) => of.GetProperty(name).GetDouble();
}
