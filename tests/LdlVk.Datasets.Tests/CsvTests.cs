using System.IO.Compression;
using System.Text;
using System.Text.Json;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Items;
using LdlVk.Datasets.Lines;

namespace LdlVk.Datasets.Tests;

public sealed class CsvTests
{
    private const string Messages = "[{\"role\":\"user\",\"content\":\"a, \\\"b\\\"\"},{\"role\":\"assistant\",\"content\":\"c\"}]";

    [Theory]
    [InlineData("prompt,response\na,b\n")]
    [InlineData("\uFEFFprompt,response\r\na,b\r\n")]
    [InlineData("\"prompt\",\"response\"\n\"a\",\"b\"")]
    [InlineData("prompt\tresponse\na\tb\n")]
    [InlineData("prompt;response\na;b\n")]
    [InlineData("id,response,source,prompt\n,b,x,a\n")]
    [InlineData(",prompt,response\n0,a,b\n")]
    [InlineData("question,answer\na,b\n\n")]
    public void A_row_is_an_item(string file)
    {
        InputLine line = Assert.Single(ContainerFile.Items(file), l => !(l.Error?.Contains("blank", StringComparison.Ordinal) ?? false));
        Assert.Equal("user: a | assistant: b", ContainerFile.Said(line));
    }

    [Theory]
    [InlineData("prompt,response")]
    [InlineData("prompt,response\n")]
    [InlineData("\uFEFFid\tprompt\tresponse\r\n")]
    public void A_header_alone_has_no_rows(string file) => Assert.Empty(ContainerFile.Items(file));

    [Theory]
    [InlineData("prompt")]
    [InlineData("text\n")]
    [InlineData("a,b\n")]
    public void A_line_that_may_be_a_header_by_chance_is_a_broken_one(string file) => Assert.NotNull(Assert.Single(ContainerFile.Items(file)).Error);

    [Theory]
    [InlineData("[\"red\",\"green\"]")]
    [InlineData("{\"role\":\"user\"}")]
    [InlineData("42")]
    [InlineData("007")]
    [InlineData("true")]
    [InlineData("null")]
    [InlineData("a\nb\r\nc")]
    [InlineData(" a ")]
    [InlineData("=1+1")]
    [InlineData("say \"no\", \t or; yes")]
    [InlineData("[{\"role\":\"user\"}]")]
    [InlineData("\U0001f600\u00e9\0\u0001\\")]
    public void A_cell_of_a_text_is_that_text(string text)
    {
        foreach (char separator in ",\t;")
        {
            string file = $"prompt{separator}system{separator}response\n{Quoted(text)}{separator}{Quoted(text)}{separator}{Quoted(text)}\n";
            Assert.Equal($"system: {text} | user: {text} | assistant: {text}", ContainerFile.Said(Assert.Single(ContainerFile.Items(file))));
        }
    }

    [Fact]
    public void Lists_of_messages_are_read_as_such_and_not_mixed_with_texts()
    {
        InputLine[] lines = ContainerFile.Items(
            $"chosen,rejected\n{Quoted(Messages)},{Quoted(Messages)}\n,\n{Quoted(Messages)},x\n{Quoted(Messages)},{Quoted(Messages)}\n");
        Assert.Equal("user: a, \"b\" | assistant: c\nuser: a, \"b\" | assistant: c", ContainerFile.Said(lines[0]));
        Assert.Equal("preference pairs: chosen[messages], rejected[messages]", lines[0].Item.Shape);
        Assert.Contains("the line is blank", lines[1].Error, StringComparison.Ordinal);
        Assert.Contains("rejected is a text here and a JSON list of messages in the lines before", lines[2].Error, StringComparison.Ordinal);
        Assert.Null(lines[3].Error);
        lines = ContainerFile.Items($"prompt,response\na,b\na,{Quoted(Messages)}\n");
        Assert.Contains("response is a JSON list of messages here and a text in the lines before", lines[1].Error, StringComparison.Ordinal);
        lines = ContainerFile.Items($"messages,source\n{Quoted(Messages)},x\n");
        Assert.Equal("user: a, \"b\" | assistant: c", ContainerFile.Said(lines[0]));
        lines = ContainerFile.Items("prompt,response\na,\"[{'role': 'user', 'content': 'b'}]\"\n");
        Assert.Contains("a list as Python prints it", lines[0].Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Lists_ids_labels_and_empty_cells_are_what_they_are_in_JSON()
    {
        InputLine[] lines = ContainerFile.Items("id,prompt,responses,response_a,response_b,winner_model_a,num\n"
            + "7,a,\"[\"\"b\"\",\"\"c\"\"]\",,,,\n007,a,,b,c,1,1.5\nx,a,,b,c,0,NaN\n");
        Assert.Equal(["7", "\"007\"", "\"x\""], lines.Select(l => l.Id));
        Assert.Equal("user: a | assistant: b\nuser: a | assistant: c", ContainerFile.Said(lines[0]));
        Assert.Equal([0], lines[1].Item.Preference!.Chosen);
        Assert.NotNull(lines[2].Item.Preference!.Unknown);
        Assert.Equal([3, 5], Assert.Single(ContainerFile.Items("input_ids,x\n\"[3,5]\",1\n")).Item.Ids!);
    }

    [Fact]
    public void A_map_names_the_columns()
    {
        ItemFields map = ItemFields.Parse("prompt=problem,response=the solution");
        Assert.Equal("user: a | assistant: [1]", ContainerFile.Said(Assert.Single(
            ContainerFile.Items("problem,the solution,response\na,[1],c\n", map))));
    }

    [Theory]
    [InlineData("prompt,response\na,b,c\na\na,b\n", "the row has 3 cells, and the header has 2")]
    [InlineData("prompt,response\na,\n", "which is not enough")]
    public void A_bad_row_is_an_error_of_its_own(string file, string error)
    {
        InputLine[] lines = ContainerFile.Items(file);
        Assert.Contains(error, lines[0].Error, StringComparison.Ordinal);
        Assert.Equal(lines.Length > 1 ? "user: a | assistant: b" : lines[0].Error, ContainerFile.Said(lines[^1]));
    }

    [Fact]
    public void A_row_that_is_not_UTF8_is_an_error_of_its_own()
    {
        byte[] file = [.. "prompt,response\na,"u8, 0xe9, .. "\na,b\n"u8];
        InputLine[] lines = [.. ContainerFile.Lines(file).Select(l => InputLine.Parse(l))];
        Assert.Contains("not valid UTF-8", lines[0].Error, StringComparison.Ordinal);
        Assert.Null(lines[1].Error);
    }

    [Theory]
    [InlineData("prompt,response\na,\"b\nc,d\n", "broken at row 0")]
    [InlineData("prompt,response\na,b\na,\"b\"x\n", "broken at row 1")]
    [InlineData("prompt,prompt\na,b\n", "two of its columns are named \"prompt\"")]
    [InlineData("problem,solution\na,b\n", "in which no field is known")]
    public void A_broken_table_is_one_error(string file, string error) =>
        Assert.Contains(error, Assert.Throws<UsageException>(() => ContainerFile.Items(file)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_quote_that_is_not_closed_does_not_fill_the_memory()
    {
        byte[] file = [.. "prompt,response\na,\""u8, .. Enumerable.Repeat((byte)'x', 40 << 20)];
        long before = GC.GetAllocatedBytesForCurrentThread();
        UsageException error = Assert.Throws<UsageException>(() => ContainerFile.Lines(file));
        Assert.Contains("a quote may not be closed", error.Message, StringComparison.Ordinal);
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 300 << 20);
    }

    [Theory]
    [InlineData("not json\n{\"prompt\":\"a\",\"response\":\"b\"}\n")]
    [InlineData("prompt\n{\"prompt\":\"a\",\"response\":\"b\"}\n")]
    [InlineData("a line, and more\n{\"prompt\":\"a\",\"response\":\"b\"}\n")]
    [InlineData("x")]
    public void A_bad_first_line_of_JSON_lines_is_an_error_of_that_line(string file)
    {
        InputLine[] lines = ContainerFile.Items(file);
        Assert.NotNull(lines[0].Error);
        Assert.True(lines.Length == 1 || file.StartsWith("prompt", StringComparison.Ordinal) || lines[1].Error is null);
    }

    /// <summary>Any table, in every way to write it and to cut it into reads.</summary>
    [Fact]
    public void Any_table_is_read_as_it_was_written()
    {
        Random random = new(7);
        string[] texts = ["a", "\"", "\n", "\r\n", ",", "\t", ";", " ", "[1]", "\u00e9\U0001f600", "{", "'", "0", "\\"];
        for (int run = 0; run < 300; run++)
        {
            char separator = ",\t;"[random.Next(3)];
            string end = random.Next(2) == 0 ? "\n" : "\r\n";
            List<(string Prompt, string Response)> rows = [];
            StringBuilder file = new(random.Next(2) == 0 ? "\uFEFF" : "");
            file.Append("prompt").Append(separator).Append("response").Append(end);
            for (int i = random.Next(1, 9); i > 0; i--)
            {
                (string, string) row = (Text(), Text());
                rows.Add(row);
                file.Append(Cell(row.Item1)).Append(separator).Append(Cell(row.Item2)).Append(end);
            }

            RawLine[] lines = ContainerFile.Lines(Encoding.UTF8.GetBytes(file.ToString()), chunk: random.Next(1, 200));
            Assert.Equal(rows, lines.Select(l => JsonDocument.Parse(l.Bytes).RootElement)
                .Select(e => (e.GetProperty("prompt").GetString()!, e.GetProperty("response").GetString()!)));

            string Cell(string text) =>
                random.Next(3) == 0 || text.AsSpan().IndexOfAny([separator, '"', '\n', '\r']) >= 0 ? Quoted(text) : text;
        }

        string Text() => string.Concat(Enumerable.Range(0, random.Next(1, 12)).Select(_ => texts[random.Next(texts.Length)]));
    }

    [Fact]
    public void A_compressed_pipe_is_read()
    {
        byte[] plain = "prompt,response\na,b\n"u8.ToArray();
        using MemoryStream packed = new();
        using (GZipStream gzip = new(packed, CompressionLevel.Fastest, leaveOpen: true)) gzip.Write(plain);
        Assert.Single(ContainerFile.Lines(packed.ToArray(), chunk: 3, isFile: false));
        using ZstdSharp.Compressor zstandard = new();
        Assert.Single(ContainerFile.Lines(zstandard.Wrap(plain).ToArray(), chunk: 3, isFile: false));
    }

    [Fact]
    public void Zstandard_that_stands_for_too_much_is_an_error()
    {
        using ZstdSharp.Compressor zstandard = new(19);
        byte[] packed = zstandard.Wrap(new byte[100 << 20]).ToArray();
        IOException error = Assert.Throws<IOException>(() => ContainerFile.Lines(packed));
        Assert.Contains("times as much", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_name_that_each_row_repeats_does_not_grow_without_end()
    {
        string file = $"prompt,{new string('n', 500_000)}\n" + string.Concat(Enumerable.Repeat("a,b\n", 20_000));
        Assert.Contains("stand for more than", Assert.Throws<UsageException>(() => ContainerFile.Lines(Encoding.UTF8.GetBytes(file)).Length).Message, StringComparison.Ordinal);
    }

    private static string Quoted(string text) => $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
