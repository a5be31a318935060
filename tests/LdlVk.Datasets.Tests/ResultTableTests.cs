using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Containers.Parquet;
using LdlVk.Datasets.Lines;
using LdlVk.Datasets.Resuming;
using LdlVk.Datasets.Tables;
using LdlVk.Testing;

namespace LdlVk.Datasets.Tests;

/// <summary>
/// Results as Parquet. Two readers that have nothing in common with the writer read them: that of this project, and DuckDB.
/// </summary>
public sealed class ResultTableTests : IDisposable
{
    private const string One = """{"id":"a","score":1.5,"tokens":3}""", Failed = """{"id":7,"error":"it is\n\"wrong\""}""",
        Steps = """{"id":"s","score":0.25,"steps":[0.5,0.25],"tokens":4}""",
        Details = """{"id":"d","score":-3.4028235E+38,"tokens":1,"weights":[0.1,1E-45],"attributes":[2,3],"adjusted":[1,1],"quantiles":[[1,2,3],[4,5,6]]}""",
        Ldl = """{"id":"l","score":3,"tokens":9,"weights":[1,2],"distribution":[0.25,0.75],"rewards":[[1,2],[3,4]]}""",
        Several = """{"id":"r","scores":[1,2.5],"best":1,"tokens":[5,6]}""",
        SeveralSteps = """{"id":"t","scores":[1,2],"best":1,"steps":[[],[0.5,0.125]],"tokens":[5,6]}""",
        SeveralDetails = """{"id":"u","scores":[1],"best":0,"tokens":[5],"weights":[[1,2]],"distribution":[[3]],"rewards":[[[1,2],[3,4]]]}""";

    private readonly TempFolder _folder = new();

    public static TheoryData<string, string> Tables => new()
    {
        { "texts", $"{One}\n{Failed}\n{Details}" },
        { "LDL", $"{Ldl}\n{One}" },
        { "steps", $"{Steps}\n{Failed}\n{Steps}" },
        { "responses", $"{Several}\n{SeveralSteps}\n{SeveralDetails}\n{Failed}" },
        { "both", $"{One}\n{Several}\n{Details}\n{SeveralDetails}\n{Steps}\n{Ldl}\n{SeveralSteps}" },
        { "errors", Failed },
        { "nothing", "" },
    };

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Tables))]
    public void Rows_are_the_results(string name, string results)
    {
        string[] lines = [.. results.Split('\n', StringSplitOptions.RemoveEmptyEntries)];
        string path = _folder[name + ".parquet"];
        File.WriteAllBytes(path, Table(lines));
        using ParquetFile file = ParquetFile.Open(path, CancellationToken.None);
        int row = 0;
        foreach (RawLine line in file.Lines())
        {
            using JsonDocument got = JsonDocument.Parse(line.Bytes);
            Check(lines, row++, name => got.RootElement.TryGetProperty(name, out JsonElement value) ? value : default);
        }

        Assert.Equal(lines.Length, row);
    }

    /// <summary>A reader in C++ of people who have not seen the writer.</summary>
    [Theory]
    [MemberData(nameof(Tables))]
    public async Task DuckDB_reads_the_same(string name, string results)
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("eng/fetch-duckdb is for a Unix shell.");
        (int status, string duckdb, string why) = await RunAsync("bash", Repository.Path("eng", "fetch-duckdb"));
        if (status != 0) Assert.Skip($"DuckDB is not here: {why.Trim()}");
        string[] lines = [.. results.Split('\n', StringSplitOptions.RemoveEmptyEntries)];
        string path = _folder[name + ".parquet"];
        File.WriteAllBytes(path, Table(lines));
        (status, string output, why) = await RunAsync("node", Repository.Path("tests", "LdlVk.Datasets.Tests", "npm", "rows.mjs"), duckdb.Trim(), path);
        Assert.True(status == 0, why);
        string[] rows = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        string many = name is "responses" or "both" ? "[]" : "";
        string[] types = [.. JsonDocument.Parse(rows[0]).RootElement.EnumerateArray().Select(type => type.GetString()!)];
        Assert.Equal("line BIGINT", types[0]);
        Assert.Contains($"tokens INTEGER{many}", types);
        Assert.Equal("error VARCHAR", types[^1]);
        if (name == "LDL") Assert.Contains("rewards FLOAT[][]", types);
        Assert.Equal(lines.Length, rows.Length - 1);
        for (int row = 0; row < lines.Length; row++)
        {
            using JsonDocument got = JsonDocument.Parse(rows[row + 1]);
            Check(lines, row, column => got.RootElement.TryGetProperty(column, out JsonElement value) ? value : default);
        }
    }

    [Theory]
    [InlineData("long", "1", "-9223372036854775808", "9223372036854775807")]
    [InlineData("text", "1", "\"a\"")]
    [InlineData("text", "1", "9223372036854775808")]
    [InlineData("text", "1", "1.0")]
    [InlineData("text", "-0")]
    [InlineData("text", "\"\\ud83d\"", "\"1\"")]
    public void Ids_are_integers_if_all_are(string type, params string[] ids)
    {
        string path = _folder["ids.parquet"];
        File.WriteAllBytes(path, Table([.. ids.Select(id => $"{{\"id\":{id},\"score\":1,\"tokens\":1}}")]));
        using ParquetFile file = ParquetFile.Open(path, CancellationToken.None);
        string[] got = [.. file.Lines().Select(line => JsonDocument.Parse(line.Bytes.ToArray()).RootElement.GetProperty("id").GetRawText())];
        string[] want = [.. ids.Select(id => type == "long" ? id : $"\"{id.Trim('"').Replace("\\", "\\\\", StringComparison.Ordinal)}\"")];
        Assert.Equal(want, got);
    }

    /// <summary>More rows than a row group has, and a row with more entries than one.</summary>
    [Fact]
    public void Row_groups_are_complete()
    {
        const int rows = 150_000;
        string numbers = string.Join(',', Enumerable.Range(0, 100_000));
        string path = _folder["rows.parquet"];
        File.WriteAllBytes(path, Table(Enumerable.Range(0, rows).Select(i => i == 70_000
            ? $"{{\"id\":{i},\"score\":{i},\"tokens\":1,\"weights\":[{numbers}]}}" : $"{{\"id\":{i},\"score\":{i},\"tokens\":1}}")));
        using ParquetFile file = ParquetFile.Open(path, CancellationToken.None);
        int next = 0;
        foreach (RawLine line in file.Lines())
        {
            Assert.StartsWith($"{{\"line\":{next},\"id\":{next},\"score\":{next}", Encoding.UTF8.GetString(line.Bytes.Span[..Math.Min(60, line.Bytes.Length)]), StringComparison.Ordinal);
            if (next == 70_000) Assert.Contains($"[{numbers}]", Encoding.UTF8.GetString(line.Bytes.Span), StringComparison.Ordinal);
            next++;
        }

        Assert.Equal(rows, next);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(70)]
    public void Parts_are_merged_to_the_table_of_an_undisturbed_run(int count)
    {
        // The first part has texts with integers as ids only, so that its columns are of other types than the whole's.
        string[] lines = [.. Enumerable.Range(0, 700).Select(i => i < Shard.BlockLines ? $"{{\"id\":{i},\"score\":{i},\"tokens\":1}}" : (i % 3) switch
        {
            0 => SeveralSteps, 1 => Details, _ => Failed,
        })];
        string input = _folder.Write("in", string.Concat(Enumerable.Repeat("{}\n", lines.Length)));
        byte[] want = Table(lines);
        foreach (string ending in (string[])[".parquet", ".jsonl"])
        {
            string[] parts = [.. Enumerable.Range(0, count).Select(part => WritePart(_folder[$"{part}{ending}"], input, lines, new Shard(part, count)))];
            using OutputFile output = OutputFile.Open(_folder["merged.parquet"], "output", isResults: true);
            Assert.Equal(lines.Length, PartialResults.Open(parts).Merge(output, TestContext.Current.CancellationToken));
            output.Complete(TestContext.Current.CancellationToken);
            Assert.Equal(want, File.ReadAllBytes(_folder["merged.parquet"]));
            Assert.DoesNotContain(_folder.Names, name => name.EndsWith(".tmp", StringComparison.Ordinal));
        }

        Assert.Contains("no lines are made", Assert.Throws<UsageException>(
            () => PartialResults.Open([.. Enumerable.Range(0, count).Select(part => _folder[$"{part}.parquet"])]).Merge(OutputFile.Of(Stream.Null))).Message, StringComparison.Ordinal);
        byte[] spoiled = File.ReadAllBytes(_folder["0.parquet"]);
        spoiled[spoiled.Length / 2] ^= 1;
        File.WriteAllBytes(_folder["0.parquet"], spoiled);
        using OutputFile none = OutputFile.Open(_folder["none.parquet"], "output", isResults: true);
        Assert.Contains("has been changed", Assert.Throws<UsageException>(
            () => PartialResults.Open([.. Enumerable.Range(0, count).Select(part => _folder[$"{part}.parquet"])]).Merge(none)).Message, StringComparison.Ordinal);
    }

    /// <summary>A run may be killed between any two of the steps that complete a table. The next run makes the same files.</summary>
    [Theory]
    [InlineData("before the table")]
    [InlineData("while the table is written")]
    [InlineData("before it has its name")]
    [InlineData("before the lines are deleted")]
    [InlineData("before the journal is deleted")]
    public void A_table_is_completed_by_the_next_run(string killed)
    {
        string[] lines = [One, Failed, Steps];
        string input = _folder.Write("in", "{}\n{}\n{}\n"), path = _folder["out.parquet"];
        byte[] want = Table(lines);
        WritePart(path, input, lines, Shard.Whole);
        byte[] record = File.ReadAllBytes(path + ".run.json");
        Assert.Equal(want, File.ReadAllBytes(path));
        string[] names = [.. _folder.Names];

        File.Delete(path);
        File.Delete(path + ".run.json");
        using (ResumableFile file = Open(path)) Score(file, input, lines, Shard.Whole, complete: false);
        if (killed != "before the table") _folder.Write(".out.parquet.table.1d1f11e.tmp", killed == "while the table is written" ? "PAR1 and a half" : "x");
        if (killed is not ("before the table" or "while the table is written")) File.WriteAllBytes(path + ".run.json", record);
        if (killed.EndsWith("deleted", StringComparison.Ordinal)) File.WriteAllBytes(path, want);
        if (killed == "before the journal is deleted") File.Delete(path + ".partial");

        if (ResumableFile.Finished(path, Run, Shard.Whole) is null)
        {
            using ResumableFile file = Open(path);
            Assert.Equal(3, file.Lines);
            Score(file, input, lines, Shard.Whole, complete: true);
        }

        Assert.Equal(want, File.ReadAllBytes(path));
        Assert.Equal(record, File.ReadAllBytes(path + ".run.json"));
        Assert.Equal(names, _folder.Names.Where(name => killed != "before the journal is deleted" || !name.EndsWith(".tmp", StringComparison.Ordinal)));
    }

    /// <summary>Who cancels while the table is written keeps the lines, and no file has the final name.</summary>
    [Fact]
    public void A_table_that_is_canceled_leaves_its_lines()
    {
        using CancellationTokenSource canceled = new();
        canceled.Cancel();
        long kept = 0;
        using (OutputFile output = OutputFile.Open(_folder["x.parquet"], "output", (lines, _) => kept = lines, isResults: true))
        {
            output.Stream.Write(Encoding.UTF8.GetBytes($"{One}\n{Failed}\n"));
            Assert.ThrowsAny<OperationCanceledException>(() => output.Complete(canceled.Token));
        }

        Assert.Equal(2, kept);
        Assert.Equal(["x.parquet.partial"], _folder.Names);
        Assert.Equal($"{One}\n{Failed}\n", File.ReadAllText(_folder["x.parquet.partial"]));
    }

    [Fact]
    public void Links_and_devices_are_refused()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Links need a privilege on Windows.");
        File.CreateSymbolicLink(_folder["x.parquet"], _folder["x"]);
        File.CreateSymbolicLink(_folder["null.parquet"], "/dev/null");
        foreach (string name in (string[])["x.parquet", "null.parquet"])
        {
            Assert.Throws<UsageException>(() => OutputFile.Open(_folder[name], "output", isResults: true).Dispose());
            Assert.Throws<UsageException>(() => ResumableFile.Resolve(_folder[name]));
        }
    }

    private static RunIdentity Run => new("settings", "portable", "driver");

    private static ResumableFile Open(string path, Shard? shard = null) =>
        ResumableFile.Open(path, Run, shard ?? Shard.Whole, resume: true, (_, _) => { });

    private static byte[] Table(IEnumerable<string> lines)
    {
        using MemoryStream text = new(Encoding.UTF8.GetBytes(string.Concat(lines.Select(line => line + "\n")))), table = new();
        ResultTable.Write(text, Shard.Whole, table);
        return table.ToArray();
    }

    private static string WritePart(string path, string input, string[] lines, Shard shard)
    {
        using ResumableFile file = Open(path, shard);
        Score(file, input, lines, shard, complete: true);
        return path;
    }

    private static void Score(ResumableFile file, string input, string[] lines, Shard shard, bool complete)
    {
        using LineSource source = LineSource.Open(input);
        foreach (InputLine line in source.Lines(shard, file.Lines, file.InputDigest))
        {
            file.Stream.Write(Encoding.UTF8.GetBytes(lines[shard.LineOf(file.Lines)] + "\n"));
            file.Wrote(new ScoredLine(line, [], null));
        }

        if (complete) file.Complete(source.Digest, shard, TestContext.Current.CancellationToken);
    }

    /// <summary>Compares a row with a result: lists for all if a result has responses, as docs/datasets.md says.</summary>
    private static void Check(string[] lines, int row, Func<string, JsonElement> column)
    {
        using JsonDocument want = JsonDocument.Parse(lines[row]);
        bool isMany = lines.Any(line => line.Contains("\"scores\"", StringComparison.Ordinal)), isList = lines[row].Contains("\"scores\"", StringComparison.Ordinal);
        Assert.Equal(row.ToString(CultureInfo.InvariantCulture), column("line").ToString());
        Assert.Equal(want.RootElement.GetProperty("id").ToString(), column("id").ToString());
        foreach (JsonProperty member in want.RootElement.EnumerateObject().Where(member => member.Name != "id"))
        {
            if (member.Name == "error") Assert.Equal(member.Value.GetString(), column("error").GetString());
            else Assert.Equal(Flat(member.Value, isMany && !isList && member.Name is not "score"), Flat(column(member.Name), false));
        }

        foreach (string name in (string[])["score", "scores", "best", "steps", "tokens", "weights", "attributes", "adjusted", "quantiles", "distribution", "rewards", "error"])
            if (!want.RootElement.TryGetProperty(name, out _)) Assert.True(column(name).ValueKind is JsonValueKind.Undefined or JsonValueKind.Null, $"{name} of row {row}");
    }

    /// <summary>A number as its bits, a list in brackets.</summary>
    private static string Flat(JsonElement value, bool wrap) => wrap ? $"[{Flat(value, false)}]" : value.ValueKind == JsonValueKind.Array
        ? $"[{string.Join(',', value.EnumerateArray().Select(item => Flat(item, false)))}]"
        : BitConverter.SingleToInt32Bits(value.GetSingle()).ToString("x8", CultureInfo.InvariantCulture);

    private static async Task<(int Status, string Output, string Error)> RunAsync(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, output, await error);
    }
}
