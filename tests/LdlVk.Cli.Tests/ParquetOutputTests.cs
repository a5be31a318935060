using System.Text.Json;
using LdlVk.Datasets.Lines;
using LdlVk.Datasets.Resuming;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>Results as Parquet, and parts that several machines scored.</summary>
public sealed class ParquetOutputTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly string _input;

    public ParquetOutputTests() => _input = _folder.Write("in.jsonl", string.Concat(Enumerable.Range(0, 600).Select(i => i switch
    {
        7 => "{\"id\":\"seven\"}\n",
        300 => "{\"id\":\"many\",\"prompt\":\"a\",\"responses\":[\"b\",\"c\"]}\n",
        _ => $"{{\"input_ids\":[2,{4 + (i % 900)},107]}}\n",
    })));

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Score_writes_the_same_as_lines_and_as_a_table(bool details)
    {
        string[] flags = details ? ["--details"] : [];
        Outcome lines = await ScoreAsync(["--output", "-", .. flags]);
        Assert.Equal(3, lines.Code);
        string whole = _folder["whole.parquet"], resumed = _folder["resumed.parquet"], merged = _folder["merged.parquet"];
        Assert.Equal((3, ""), await ScoreAsync(["--output", whole, .. flags]) is var first ? (first.Code, first.Out) : default);
        Assert.Equal(3, (await ScoreAsync(["--output", resumed, "--resume", .. flags])).Code);
        Assert.Contains("is complete: 600 results", (await ScoreAsync(["--output", resumed, "--resume", .. flags], quiet: false)).Error, StringComparison.Ordinal);
        string[] parts = [_folder["0.parquet"], _folder["1.parquet"]];
        for (int i = 0; i < 2; i++) await ScoreAsync(["--output", parts[i], "--shard", $"{i}/2", .. flags]);
        (await Cli.RunAsync(["merge", .. parts])).Fails(2, "is Parquet", ".parquet");
        Assert.Equal(0, (await Cli.RunAsync(["merge", .. parts, "--output", merged])).Code);
        byte[] bytes = File.ReadAllBytes(whole);
        foreach (string other in (string[])[resumed, merged]) Assert.Equal(bytes, File.ReadAllBytes(other));
        Assert.DoesNotContain(_folder.Names, name => name.EndsWith(".tmp", StringComparison.Ordinal) || name.Contains(".partial", StringComparison.Ordinal));

        using LineSource table = LineSource.Open(whole);
        int row = 0;
        foreach (var raw in table.RawLines())
        {
            JsonElement want = lines.Lines[row], got = Cli.Json(System.Text.Encoding.UTF8.GetString(raw.Bytes.Span));
            Assert.Equal(row++, got.GetProperty("line").GetInt32());
            Assert.Equal(want.GetProperty("id").ToString(), got.GetProperty("id").GetString());
            if (want.TryGetProperty("score", out JsonElement score)) Assert.Equal(score.GetSingle(), got.GetProperty("score").GetSingle());
            if (want.TryGetProperty("scores", out JsonElement scores)) Assert.Equal(scores.GetRawText(), got.GetProperty("scores").GetRawText());
            if (want.TryGetProperty("error", out JsonElement error)) Assert.Equal(error.GetString(), got.GetProperty("error").GetString());
            if (details && !want.TryGetProperty("error", out _)) Assert.Equal(22, got.GetProperty("weights")[0].GetArrayLength());
        }

        Assert.Equal(600, row);
    }

    [Theory]
    [InlineData("rank", "--output")]
    [InlineData("eval", "--output")]
    [InlineData("eval", "--report")]
    [InlineData("score", "--trace")]
    [InlineData("score", "--trace-events")]
    [InlineData("render", "--output")]
    public async Task What_writes_no_Parquet_says_so(string command, string flag)
    {
        string path = _folder["x.PARQUET"];
        Outcome outcome = await Cli.RunAsync(command, "--model", Cli.Mini, "--device", "cpu", "--input", _input, flag, path);
        if (command == "render") Assert.Equal(2, outcome.Code);
        else outcome.Fails(2, flag, path, "no Parquet", "ldlvk score", "ldlvk merge");
        Assert.Equal(["in.jsonl"], _folder.Names);
    }

    [Fact]
    public async Task A_table_is_never_its_own_input()
    {
        string table = _folder["a.parquet"];
        Assert.Equal(3, (await ScoreAsync(["--output", table, "--shard", "0/1"])).Code);
        byte[] before = File.ReadAllBytes(table);
        (await Cli.RunAsync("merge", table, "--output", table)).Fails(2, "the same file");
        (await Cli.RunAsync("score", "--model", Cli.Mini, "--input", table, "--output", table)).Fails(2, "the same file");
        (await Cli.RunAsync("score", "--model", Cli.Mini, "--input", table, "--output", table, "--resume")).Fails(2, "the same file");
        (await Cli.RunAsync("score", "--model", Cli.Mini, "--input", _folder.Write(".b.parquet.table.1d1f11e.tmp", "{}\n"), "--output", _folder["b.parquet"])).Fails(2, "the same file");
        Assert.Equal(before, File.ReadAllBytes(table));
    }

    [Fact]
    public async Task Parts_of_another_driver_or_version_need_consent()
    {
        string[] parts = [_folder["0"], _folder["1"]];
        for (int i = 0; i < 2; i++) await ScoreAsync(["--output", parts[i], "--shard", $"{i}/2"]);
        RunRecord record = RunRecord.Read(parts[1])!;
        Assert.Equal("", record.Driver);
        Assert.Contains("model ", record.Portable, StringComparison.Ordinal);
        Assert.Equal(0, (await Cli.RunAsync(["merge", .. parts, "--output", _folder["same"]])).Code);
        RunRecord[] others =
        [
            record with { Driver = "Mesa 22.3.6" },
            record with { Settings = record.Settings.Replace("ldlvk ", "ldlvk 9.", StringComparison.Ordinal) },
            record with { Settings = record.Settings.Replace("cpu", "vulkan A card", StringComparison.Ordinal), Driver = "a driver 1" },
        ];
        foreach (RunRecord other in others)
        {
            File.WriteAllBytes(parts[1] + RunRecord.Suffix, other.ToJson());
            (await Cli.RunAsync(["merge", .. parts, "--output", _folder["other"]])).Fails(2, "--any-machine", "last bits");
            Outcome consent = await Cli.RunAsync(["merge", .. parts, "--output", _folder["other"], "--any-machine"]);
            Assert.Equal(0, consent.Code);
            Assert.Contains("last bits", consent.Error, StringComparison.Ordinal);
            Assert.Equal(File.ReadAllBytes(_folder["same"]), File.ReadAllBytes(_folder["other"]));
            (await ScoreAsync(["--output", parts[1], "--shard", "1/2", "--resume"])).Fails(2, "--any-machine", "last bits");
            Assert.Equal(0, (await ScoreAsync(["--output", parts[1], "--shard", "1/2", "--resume", "--any-machine"])).Code is var code && code is 0 or 3 ? 0 : code);
        }

        File.WriteAllBytes(parts[1] + RunRecord.Suffix, (record with { Settings = "s", Portable = "model n" }).ToJson());
        (await Cli.RunAsync(["merge", .. parts, "--any-machine", "--output", _folder["never"]])).Fails(2, "different settings");
        (await ScoreAsync(["--output", _folder["new"], "--any-machine"])).Fails(2, "--any-machine", "--resume");
        (await ScoreAsync(["--output", _folder["new"], "--any-machine", "--shard", "0/2"])).Fails(2, "--any-machine", "--resume");
    }

    private Task<Outcome> ScoreAsync(string[] flags, bool quiet = true) =>
        Cli.RunAsync(["score", "--model", Cli.Mini, "--device", "cpu", "--input", _input, .. quiet ? (string[])["--quiet"] : [], .. flags]);
}
