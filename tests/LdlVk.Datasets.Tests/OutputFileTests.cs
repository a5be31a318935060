using LdlVk.Datasets.Lines;
using LdlVk.Testing;

namespace LdlVk.Datasets.Tests;

public sealed class OutputFileTests
{
    [Theory]
    [InlineData("", null)]
    [InlineData("half", null)]
    [InlineData("one\ntwo\nhal", "one\ntwo\n")]
    [InlineData("one\n", "one\n")]
    public void Only_complete_lines_are_kept(string written, string? kept)
    {
        using TempFolder temp = new();
        temp.Write("out.jsonl.partial", "of an earlier run");
        List<(long, string)> told = [];
        using (OutputFile file = OutputFile.Open(temp["out.jsonl"], "output", (lines, path) => told.Add((lines, path))))
            file.Stream.Write(System.Text.Encoding.UTF8.GetBytes(written));
        Assert.Equal(["out.jsonl.partial"], temp.Names);
        Assert.Equal(kept ?? "of an earlier run", File.ReadAllText(temp["out.jsonl.partial"]));
        Assert.Equal(kept is null ? [] : [(kept.Count(c => c == '\n'), temp["out.jsonl.partial"])], told);
    }
}
