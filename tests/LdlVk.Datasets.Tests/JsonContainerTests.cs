using System.Text;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Lines;

namespace LdlVk.Datasets.Tests;

/// <summary>Data sets that are one JSON value, or objects over several lines.</summary>
public sealed class JsonContainerTests
{
    [Theory]
    [InlineData("{\"prompt\":[\"a\",\"c\"],\"response\":[\"b\",\"d\"]}")]
    [InlineData("{\n  \"prompt\": [\n    \"a\",\n    \"c\"\n  ],\n  \"response\": [\"b\", \"d\"]\n}\n")]
    [InlineData("\uFEFF {\"source\":[{\"x\":[1]},null],\"id\":null,\"prompt\":[\"a\",\"c\"],\"version\":1,\"response\":[\"b\",\"d\"]} \n")]
    [InlineData("{\"messages\":[[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}],[{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\"}]]}")]
    public void An_object_of_lists_is_one_item_for_each_value(string file)
    {
        foreach (int chunk in (int[])[1, 5, 1 << 16])
        {
            InputLine[] lines = [.. ContainerFile.Lines(Encoding.UTF8.GetBytes(file), chunk).Select(l => InputLine.Parse(l))];
            Assert.Equal(["user: a | assistant: b", "user: c | assistant: d"], lines.Select(ContainerFile.Said));
        }
    }

    [Theory]
    [InlineData("{\"prompt\":\"a\",\"responses\":[\"b\",\"c\"]}", 2)]
    [InlineData("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}", 1)]
    [InlineData("{\"chosen\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}],\"rejected\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"c\"}]}", 2)]
    [InlineData("{\"input_ids\":[1,2]}", 1)]
    [InlineData("{\n\"prompt\":\"a\",\n\"responses\":[\n\"b\",\n\"c\"]\n}\n", 2)]
    public void An_item_with_lists_stays_an_item(string file, int texts) =>
        Assert.Equal((null, texts), Assert.Single(ContainerFile.Items(file)) is var line ? (line.Error, line.Item.Texts) : default);

    [Fact]
    public void Lists_of_conversations_that_can_be_either_are_refused_where_they_are_alone()
    {
        const string conversation = "[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]";
        const string line = $"{{\"chosen\":[{conversation},{conversation}],\"rejected\":[{conversation},{conversation}]}}";
        Assert.Contains("may be one item with several responses", Assert.Throws<UsageException>(() => ContainerFile.Items(line)).Message, StringComparison.Ordinal);
        InputLine[] lines = ContainerFile.Items($"{line}\n{line}\n");
        Assert.Equal([4, 4], lines.Select(l => l.Item.Texts));
        lines = ContainerFile.Items($"{{\"id\":[1,2],{line[1..]}");
        Assert.Equal([2, 2], lines.Select(l => l.Item.Texts));
    }

    [Theory]
    [InlineData("{\"prompt\":[\"a\",\"c\"],\"response\":[\"b\"]}", "\"prompt\" has 2 values, but \"response\" has 1")]
    [InlineData("{\"prompt\":[\"a\",\"c\"],\"response\":\"b\"}", "but \"response\" is none")]
    [InlineData("{\"prompt\":[\"a\",\"c\"],\"response\":[\"b\",", "does not end")]
    [InlineData("{\"prompt\":[\"a\",\"c\"],\"response\":[\"b\",\"d\"]", "does not end")]
    [InlineData("{\"prompt\":[\"a\"],\"response\":[\"b\"]}\n{\"prompt\":\"a\"}", "something follows it")]
    [InlineData("{\"prompt\":[\"a\"],\"response\":[\"b\" \"system\":\"c\"]}", "broken")]
    public void Lists_that_do_not_match_are_one_error(string file, string error) =>
        Assert.Contains(error, Assert.Throws<UsageException>(() => ContainerFile.Items(file)).Message, StringComparison.Ordinal);

    [Fact]
    public void Objects_over_several_lines_are_read_one_after_another()
    {
        const string file = "{\n  \"prompt\": \"a }\",\n  \"response\": \"b\"\n}\n{\n  \"prompt\": \"c\\\"{\",\n  \"response\": \"d\"\n}\n";
        foreach (int chunk in (int[])[1, 3, 1 << 16])
        {
            RawLine[] lines = ContainerFile.Lines(Encoding.UTF8.GetBytes(file), chunk);
            Assert.Equal(["user: a } | assistant: b", "user: c\"{ | assistant: d"], lines.Select(l => ContainerFile.Said(InputLine.Parse(l))));
            Assert.Equal([0, 1], lines.Select(l => l.Number));
        }
    }

    [Theory]
    [InlineData("{\"prompt\":\"a\"\n{\"prompt\":\"a\",\"response\":\"b\"}\n")]
    [InlineData("{\"prompt\":\"a\n\n{\"prompt\":\"a\",\"response\":\"b\"}\n")]
    [InlineData("{\n{\"prompt\":\"a\",\"response\":\"b\"}\n")]
    public void A_broken_first_line_is_an_error_of_that_line(string file)
    {
        InputLine[] lines = ContainerFile.Items(file);
        Assert.Contains("not valid JSON", lines[0].Error, StringComparison.Ordinal);
        Assert.Equal("user: a | assistant: b", ContainerFile.Said(lines[^1]));
    }

    /// <summary>.NET cannot compare such numbers, and says so with an exception that is not one of JSON.</summary>
    [Theory]
    [InlineData("1e99999999999", "1e99999999999", "is the number")]
    [InlineData("1e99999999999", "1e99999999998", "which differ")]
    [InlineData("[1e99999999999]", "[2]", "which differ")]
    [InlineData("{\"\\ud800\":1}", "{\"\\ud800\":2}", "")]
    public void Numbers_that_cannot_be_compared_are_an_error_of_the_line(string first, string second, string error)
    {
        InputLine[] lines = ContainerFile.Items($"{{\"prompt\":{first},\"question\":{second},\"response\":\"b\"}}\n{{\"prompt\":\"a\",\"response\":\"b\"}}\n");
        Assert.Contains(error, lines[0].Error, StringComparison.Ordinal);
        Assert.Null(lines[1].Error);
    }

    [Fact]
    public void White_space_at_the_beginning_does_not_fill_the_memory()
    {
        byte[] file = new byte[60 << 20];
        Array.Fill(file, (byte)' ');
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains("more than 16 MiB", Assert.Single(ContainerFile.Lines(file)).Error, StringComparison.Ordinal);
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 100 << 20);
    }
}
