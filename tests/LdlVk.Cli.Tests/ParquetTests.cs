using System.Text.Json;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>Parquet as input of commands.</summary>
public sealed class ParquetTests : IDisposable
{
    private static readonly string[] Rows = File.ReadAllLines(Repository.Path("tests", "data", "parquet", "rows.jsonl"));

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Rows_are_scored_resumed_and_shared_out_as_lines_are()
    {
        // The same fields as lines of JSON.
        string[] fields = ["id", "prompt", "response"];
        string lines = _folder.Write("rows.jsonl", string.Concat(Rows.Select(row =>
        {
            JsonElement json = Cli.Json(row);
            return $"{{{string.Join(",", fields.Select(f => $"\"{f}\":{json.GetProperty(f).GetRawText()}"))}}}\n";
        })));
        Outcome want = await ScoreAsync(lines), got = await ScoreAsync(Data("hyparquet"));
        Assert.Equal((3, want.Out), (got.Code, got.Out));
        Assert.Equal(Rows.Length, got.Lines.Length);

        string[] parts = [_folder["0"], _folder["1"]];
        // All lines with errors are in the first 256.
        for (int i = 0; i < 2; i++) Assert.Equal(i == 0 ? 3 : 0, (await ScoreAsync(Data("hyparquet"), "--output", parts[i], "--resume", "--shard", $"{i}/2")).Code);
        Assert.Equal(want.Out, (await Cli.RunAsync(["merge", .. parts])).Out);
        Outcome again = await Cli.RunAsync("score", "--model", Cli.Mini, "--device", "cpu", "--input", Data("hyparquet"), "--output", parts[1], "--resume", "--shard", "1/2");
        Assert.Equal(0, again.Code);
        Assert.Contains("is complete", again.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_not_read_is_said()
    {
        // Where the description says that the column "id" is in LZ4 (7, in zigzag 14), it says LZO (3).
        byte[] bytes = File.ReadAllBytes(Data("duckdb-lz4"));
        int at = bytes.AsSpan().IndexOf((ReadOnlySpan<byte>)[(byte)'i', (byte)'d', 0x15, 14]);
        bytes[at + 3] = 6;
        File.WriteAllBytes(_folder["lzo.parquet"], bytes);
        (await ScoreAsync(_folder["lzo.parquet"])).Fails(1, "lzo.parquet", "LZO", "Zstandard");
        Outcome pipe = await Cli.RunWithInputAsync(File.ReadAllBytes(Data("hyparquet")), "score", "--model", Cli.Mini, "--device", "cpu", "--input", "-");
        pipe.Fails(2, "Parquet", "not read from a pipe");
        (await ScoreAsync(_folder.Write("short.parquet", "PAR1"))).Fails(2, "short.parquet", "its end is missing");
    }

    private static string Data(string name) => Repository.Path("tests", "data", "parquet", name + ".parquet");

    private static Task<Outcome> ScoreAsync(string input, params string[] flags) =>
        Cli.RunAsync(["score", "--model", Cli.Mini, "--device", "cpu", "--quiet", "--input", input, .. flags]);
}
