using System.Text;
using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>Lines that cannot be scored: each is an error line in its place, and the lines around it are scored.</summary>
public class BadLineTests
{
    private const string Good = """{"prompt":"a","response":"b"}""";

    [Theory]
    [InlineData("", "the line is blank")]
    [InlineData(" \t", "the line is blank")]
    [InlineData("{", "not valid JSON at byte 1: it ends before an object or a list is closed.")]
    [InlineData("{\"prompt\":\"a", "it ends in the middle of a value.")]
    [InlineData("{\"prompt\":\"a\",}", "a comma stands before a closing bracket")]
    [InlineData("{\"prompt\":\"a\",\"response\":\"b\"} x", "not valid JSON at byte 30")]
    [InlineData("{\"prompt\":\"a\",\"prompt\":\"a\",\"response\":\"b\"}", "not valid JSON")]
    [InlineData(" [1]", "the line is a list, not an object")]
    [InlineData("3", "the line is the number 3, not an object")]
    [InlineData("null", "the line is null, not an object")]
    [InlineData("{}", "none of the known fields")]
    [InlineData("{\"body\":\"a\",\"source\":3}", "none of the known fields (it has body, source)")]
    [InlineData("{\"text\":3}", "text is the number 3, not a string")]
    [InlineData("{\"text\":\"a\",\"prompt\":\"a\"}", "prompt and text, which do not go together")]
    [InlineData("{\"prompt\":\"a\"}", "the line has prompt, which is not enough")]
    [InlineData("{\"response\":\"a\"}", "the line has response, which is not enough")]
    [InlineData("{\"prompt\":\"a\",\"response\":\"b\",\"responses\":[]}", "response and responses, which do not go together")]
    [InlineData("{\"messages\":[],\"input_ids\":[1]}", "messages and input_ids, which do not go together")]
    [InlineData("{\"prompt\":1,\"response\":\"b\"}", "prompt is the number 1, not a string")]
    [InlineData("{\"prompt\":\"a\",\"response\":[\"b\"]}", "response is a list, not a string")]
    [InlineData("{\"prompt\":\"a\",\"responses\":\"b\"}", "responses is a string, not a list")]
    [InlineData("{\"prompt\":\"a\",\"responses\":[]}", "responses is empty")]
    [InlineData("{\"prompt\":\"a\",\"responses\":[\"b\",null]}", "responses[1] is null, not a string")]
    [InlineData("{\"messages\":\"a\"}", "messages is a string, not a list")]
    [InlineData("{\"messages\":[]}", "no messages")]
    [InlineData("{\"messages\":[3]}", "messages[0] is the number 3")]
    [InlineData("{\"messages\":[{\"role\":\"user\"}]}", "messages[0] has no content")]
    [InlineData("{\"messages\":[{\"content\":\"a\"}]}", "messages[0] has no role")]
    [InlineData("{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}", "messages[0].content[0] has no text")]
    [InlineData("{\"messages\":[{\"role\":\"system\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"a\"}]}", "no system role")]
    [InlineData("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"a\"}]}", "roles must alternate")]
    [InlineData("{\"messages\":[{\"role\":\"assistant\",\"content\":\"a\"}]}", "roles must alternate")]
    [InlineData("{\"input_ids\":[]}", "no tokens")]
    [InlineData("{\"input_ids\":[2,4096]}", "token id 4096 is outside the vocabulary of 4096")]
    [InlineData("{\"input_ids\":[-1]}", "token id -1 is outside")]
    [InlineData("{\"input_ids\":[2,1.5]}", "input_ids[1] is the number 1.5")]
    [InlineData("{\"input_ids\":[99999999999]}", "input_ids[0] is the number 99999999999")]
    [InlineData("{\"input_ids\":\"2\"}", "input_ids is a string")]
    [InlineData("{\"prompt\":\"\\ud800\",\"response\":\"b\"}", "not valid Unicode")]
    [InlineData("{\"prompt\":\"a\",\"response\":\"b\",\"id\":[1]}", "id is a list, not a string or a number")]
    [InlineData("{\"prompt\":\"a\",\"response\":\"b\",\"id\":true}", "id is true, not a string or a number")]
    public async Task A_bad_line_is_an_error_line_among_scored_ones(string bad, string message)
    {
        Outcome run = await Cli.ScoreAsync($"{Good}\n{bad}\n{Good}\n");
        Assert.Equal((3, 3), (run.Code, run.Lines.Length));
        Assert.Contains(message, run.ErrorOf(1), StringComparison.Ordinal);
        Assert.Equal(["id", "error"], run.Lines[1].EnumerateObject().Select(p => p.Name));
        Assert.Equal([0, 1, 2], run.Lines.Select(l => l.GetProperty("id").GetInt32()));
        Assert.Equal(run.Lines[0].GetProperty("score").GetRawText(), run.Lines[2].GetProperty("score").GetRawText());
        Assert.Contains("1 line could not be scored", run.Error, StringComparison.Ordinal);
    }

    /// <summary>Half of a surrogate pair can be escaped in JSON, and is no text. In a field that is not scored it stays what it is.</summary>
    [Fact]
    public async Task Half_of_a_surrogate_pair_ends_no_run()
    {
        Outcome id = await Cli.ScoreAsync($"{Good}\n{{\"id\":\"\\ud800\",\"prompt\":\"a\",\"response\":\"b\"}}\n{Good}\n");
        Assert.Equal((3, 3), (id.Code, id.Lines.Length));
        Assert.Contains("id is a string that is not valid Unicode", id.ErrorOf(1), StringComparison.Ordinal);
        using TempFolder folder = new();
        const string pair = """{"prompt":"a","chosen":"b","rejected":"c","note":"é\ud800","more":[{"x":"\uDC00"}]}""", bad = """{"prompt":"a","chosen":"b","rejected":"c","\ud800":1}""";
        string input = folder["in"], output = folder["out"];
        File.WriteAllText(input, $"[{pair.Replace("[{", "[\n{", StringComparison.Ordinal)},\n{bad},{{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"\\udfff\"}},{pair}]");
        Outcome eval = await Cli.RunAsync("eval", "--model", Cli.Mini, "--device", "cpu", "--input", input, "--output", output, "--report", folder["report.html"], "--json");
        Assert.Equal(3, eval.Code);
        Assert.Contains("half of a surrogate pair", eval.Out, StringComparison.Ordinal);
        string[] lines = File.ReadAllLines(output);
        Assert.Equal(2, lines.Length);
        foreach (string line in lines) Assert.Contains("\"note\":\"é\\ud800\"", line, StringComparison.Ordinal);
        Assert.Contains("""[{"x":"\uDC00"}]""", lines[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bad_line_keeps_its_id()
    {
        Outcome run = await Cli.ScoreAsync("{\"id\":\"x \\u00e9 \\\"\",\"prompt\":\"a\"}\n{\"id\":12345678901234567890123,\"input_ids\":[]}\n{\"id\":null,\"input_ids\":[]}");
        Assert.Equal(3, run.Code);
        Assert.Equal("x é \"", run.Lines[0].GetProperty("id").GetString());
        Assert.Equal(["12345678901234567890123", "2"], run.Lines[1..].Select(l => l.GetProperty("id").GetRawText()));
    }

    [Fact]
    public async Task The_response_that_fails_is_named()
    {
        string longText = string.Concat(Enumerable.Repeat("qj ", 9000));
        Outcome run = await Cli.ScoreAsync($$"""{"prompt":"a","responses":["b","c","{{longText}}","d"]}""" + "\n" + Good);
        Assert.Equal(3, run.Code);
        Assert.Matches("^response 2 \\(counted from 0\\): the text has [0-9]+ tokens, and the model takes at most 8192", run.ErrorOf(0));
        Assert.True(run.Lines[1].TryGetProperty("score", out _));
    }

    [Fact]
    public async Task A_text_that_is_too_long_fails_or_is_truncated()
    {
        // A window of 64 on half of the layers and 300 positions keep this fast.
        using TempFolder model = new TempFolder().WithModel(Cli.Mini);
        string config = model["config.json"];
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"max_position_embeddings\": 8192", "\"max_position_embeddings\": 300", StringComparison.Ordinal));
        int[] ids = [.. Enumerable.Range(0, 301).Select(i => i + 10)];
        string[] flags = ["score", "--model", model.Path, "--device", "cpu", "--input", "-"];
        Outcome refused = await Cli.RunWithInputAsync($"{{\"input_ids\":[{string.Join(',', ids)}]}}", flags);
        Assert.Equal(3, refused.Code);
        Assert.Contains("301 tokens, and the model takes at most 300", refused.ErrorOf(0), StringComparison.Ordinal);
        Assert.Contains("--truncate", refused.ErrorOf(0), StringComparison.Ordinal);

        // From the middle: the first and the last 150 tokens are left.
        int[] kept = [.. ids[..150], .. ids[151..]];
        Outcome truncated = await Cli.RunWithInputAsync($"{{\"input_ids\":[{string.Join(',', ids)}]}}\n{{\"id\":0,\"input_ids\":[{string.Join(',', kept)}]}}", [.. flags, "--truncate"]);
        Assert.Equal((0, 300), (truncated.Code, truncated.Lines[0].GetProperty("tokens").GetInt32()));
        Assert.Equal(truncated.Lines[1].GetRawText(), truncated.Lines[0].GetRawText());
    }

    [Fact]
    public async Task Bytes_that_are_no_text()
    {
        byte[] input = [.. Encoding.UTF8.GetBytes(Good), (byte)'\n', .. "{\"prompt\":\""u8, 0xC3, 0x28, .. "\",\"response\":\"b\"}\n"u8, 0, 0xFF, (byte)'\n', .. Encoding.UTF8.GetBytes(Good)];
        Outcome run = await Cli.RunWithInputAsync(input, "score", "--model", Cli.Mini, "--device", "cpu", "--input", "-");
        Assert.Equal((3, 4), (run.Code, run.Lines.Length));
        Assert.Contains("not valid UTF-8", run.ErrorOf(1), StringComparison.Ordinal);
        Assert.Contains("not valid UTF-8", run.ErrorOf(2), StringComparison.Ordinal);
        Assert.True(run.Lines[3].TryGetProperty("score", out _));
    }

    [Fact]
    public async Task A_huge_line_is_skipped_and_the_next_is_scored()
    {
        byte[] huge = new byte[(16 << 20) + 1];
        huge.AsSpan().Fill((byte)'{');
        Outcome run = await Cli.RunWithInputAsync([.. huge, (byte)'\n', .. Encoding.UTF8.GetBytes(Good), (byte)'\n', .. huge], "score", "--model", Cli.Mini, "--device", "cpu", "--input", "-");
        Assert.Equal((3, 3), (run.Code, run.Lines.Length));
        Assert.Contains("more than 16 MiB", run.ErrorOf(0), StringComparison.Ordinal);
        Assert.Contains("more than 16 MiB", run.ErrorOf(2), StringComparison.Ordinal);
        Assert.Equal(JsonValueKind.Number, run.Lines[1].GetProperty("score").ValueKind);
    }

    [Fact]
    public async Task Line_ends_of_Windows_a_byte_order_mark_and_an_empty_end_are_no_errors()
    {
        Outcome run = await Cli.ScoreAsync($"\uFEFF{Good}\r\n{Good}\r\n\r\n");
        Assert.Equal((0, 2), (run.Code, run.Lines.Length));
        Outcome two = await Cli.ScoreAsync($"{Good}\n\n\n");
        Assert.Equal((3, 2), (two.Code, two.Lines.Length));
        Outcome nothing = await Cli.ScoreAsync("");
        Assert.Equal((0, ""), (nothing.Code, nothing.Out));
    }

    [Fact]
    public async Task Many_bad_lines_come_out_in_order_in_bounded_memory()
    {
        const int Count = 10_000;
        StringBuilder input = new();
        for (int i = 0; i < Count; i++) input.Append(i % 1000 == 0 ? Good : "x").Append('\n');
        Outcome run = await Cli.ScoreAsync(input.ToString());
        Assert.Equal(3, run.Code);
        Assert.Equal(Enumerable.Range(0, Count), run.Lines.Select(l => l.GetProperty("id").GetInt32()));
        Assert.Equal(Count / 1000, run.Lines.Count(l => l.TryGetProperty("score", out _)));
        Assert.Contains("10 texts", run.Error, StringComparison.Ordinal);
    }
}
