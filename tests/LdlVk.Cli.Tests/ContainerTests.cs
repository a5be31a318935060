using System.IO.Compression;
using System.Text;
using LdlVk.Testing;

namespace LdlVk.Cli.Tests;

/// <summary>The commands that read data sets, on containers other than JSON lines.</summary>
public sealed class ContainerTests : IDisposable
{
    private const int Items = 600;

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string> Containers => ["csv", "tsv", "columns", "array", "objects"];

    [Theory]
    [MemberData(nameof(Containers))]
    public async Task A_container_scores_as_JSON_lines_do(string container)
    {
        string input = Write(container, Write(container, 8));
        Outcome want = await Cli.ScoreAsync(Write("lines", 8));
        Assert.Equal(0, want.Code);
        foreach (string command in (string[])["score", "render", "rank"])
        {
            string[] flags = [command, "--model", Cli.Mini, "--input", input, .. command == "render" ? [] : (string[])["--device", "cpu"]];
            Outcome file = await Cli.RunAsync(flags), lines = await Cli.RunWithInputAsync(Write("lines", 8), [.. flags[..4], "-", .. flags[5..]]);
            Assert.Equal((lines.Code, lines.Out), (file.Code, file.Out));
            Outcome pipe = await Cli.RunWithInputAsync(Gzip(Write(container, 8)), [.. flags[..4], "-", .. flags[5..]]);
            Assert.Equal((lines.Code, lines.Out), (pipe.Code, pipe.Out));
        }

        Assert.Contains("8 lines read as prompts with a response", (await Cli.RunAsync("render", "--model", Cli.Mini, "--input", input)).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pairs_in_CSV_are_evaluated_as_those_in_JSON_lines()
    {
        string csv = Write("pairs.csv", "id,prompt,chosen,rejected,subset\n1,a,\"b, c\",d,x\n2,a,e,f,y\n");
        string lines = Write("pairs.jsonl", """
            {"id":1,"prompt":"a","chosen":"b, c","rejected":"d","subset":"x"}
            {"id":2,"prompt":"a","chosen":"e","rejected":"f","subset":"y"}
            """);
        string[] flags = ["eval", "--model", Cli.Mini, "--device", "cpu", "--quiet", "--output"];
        Assert.Equal(0, (await Cli.RunAsync([.. flags, _folder["a"], "--input", csv])).Code);
        Assert.Equal(0, (await Cli.RunAsync([.. flags, _folder["b"], "--input", lines])).Code);
        Assert.Equal(File.ReadAllText(_folder["b"]), File.ReadAllText(_folder["a"]));
    }

    [Theory]
    [InlineData("csv")]
    [InlineData("columns")]
    public async Task A_container_is_resumed_and_shared_out_as_JSON_lines_are(string container)
    {
        string input = Write(container, Write(container, Items)), whole = _folder["whole"];
        string[] flags = ["score", "--model", Cli.Mini, "--device", "cpu", "--quiet", "--input", input, "--output"];
        Assert.Equal(0, (await Cli.RunAsync([.. flags, whole])).Code);
        Assert.Equal(0, (await Cli.RunAsync([.. flags, _folder["p0"], "--resume", "--shard", "0/2"])).Code);
        Assert.Equal(0, (await Cli.RunAsync([.. flags, _folder["p1"], "--resume", "--shard", "1/2"])).Code);
        Assert.Equal(0, (await Cli.RunAsync("merge", _folder["p1"], _folder["p0"], "--output", _folder["merged"])).Code);
        Assert.Equal(File.ReadAllText(whole), File.ReadAllText(_folder["merged"]));
        File.AppendAllText(input, " ");
        Outcome again = await Cli.RunAsync([.. flags, _folder["p0"], "--resume", "--shard", "0/2"]);
        Assert.True(again.Code is 0 or 2, again.Error);
    }

    [Fact]
    public async Task A_table_without_known_columns_is_one_error()
    {
        (await Cli.ScoreAsync("problem,solution\na,b\nc,d\n")).Fails(2, "not JSON", "no field is known", "map");
        Outcome mapped = await Cli.ScoreAsync("problem,solution\na,b\nc,d\n", "--map", "prompt=problem,response=solution");
        Assert.Equal((0, 2), (mapped.Code, mapped.Lines.Length));
    }

    private static string Write(string container, int count)
    {
        string[] rows = [.. Enumerable.Range(0, count).Select(i => $"\"a{i % 3}\"|\"b{i} \\\",\\n\"")];
        IEnumerable<(string Prompt, string Response)> items = rows.Select(r => (r.Split('|')[0], r.Split('|')[1]));
        string Cell(string json) => json.Replace("\\n", "\n", StringComparison.Ordinal).Replace("\\\"", "\"\"", StringComparison.Ordinal);
        string Object((string Prompt, string Response) item, string space) => $"{{{space}\"prompt\":{item.Prompt},{space}\"response\":{item.Response}{space}}}";
        return container switch
        {
            "csv" => "prompt,response\r\n" + string.Concat(items.Select(i => $"{Cell(i.Prompt)},{Cell(i.Response)}\r\n")),
            "tsv" => "response\tprompt\n" + string.Concat(items.Select(i => $"{Cell(i.Response)}\t{Cell(i.Prompt)}\n")),
            "columns" => $"{{\"prompt\":[{string.Join(',', items.Select(i => i.Prompt))}],\n\"response\":[{string.Join(',', items.Select(i => i.Response))}]}}",
            "array" => $"\uFEFF[{string.Join(",\n", items.Select(i => Object(i, "\n  ")))}]",
            "objects" => string.Join("\n", items.Select(i => Object(i, "\n  "))),
            _ => string.Concat(items.Select(i => Object(i, "") + "\n")),
        };
    }

    private string Write(string name, string text)
    {
        File.WriteAllText(_folder[name], text);
        return _folder[name];
    }

    private static byte[] Gzip(string text)
    {
        using MemoryStream packed = new();
        using (GZipStream gzip = new(packed, CompressionLevel.Fastest)) gzip.Write(Encoding.UTF8.GetBytes(text));
        return packed.ToArray();
    }
}
