using System.Text;
using System.Text.Json;
using LdlVk.Datasets.Containers;

namespace LdlVk.Datasets.Tests;

public sealed class ContainerTests
{
    private static readonly string[] Elements =
        ["{\"a\":\"]\\\"[,\"}", "{\n  \"b\": [1, {\"c\": [2]}],\n  \"d\": \"\\\\\"\n}", "3", "\"x,y\"", "[[],[1,2]]", "null", "{\"long\":\"" + new string('x', 100_000) + "\"}"];

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1 << 20)]
    public void A_JSON_array_is_cut_into_its_elements(int chunk)
    {
        Random random = new(chunk);
        for (int run = 0; run < (chunk == 1 ? 3 : 100); run++)
        {
            string[] elements = [.. Enumerable.Range(0, random.Next(6)).Select(_ => Elements[random.Next(chunk == 1 ? 6 : 7)])];
            string file = $"{(random.Next(2) == 0 ? "\uFEFF" : "")} \n[{string.Join(" ,\n", elements)}{(random.Next(2) == 0 ? "\n" : "")}]\n";
            RawLine[] lines = Read(Encoding.UTF8.GetBytes(file), chunk);
            Assert.Equal(elements.Length, lines.Length);
            foreach ((string element, RawLine line) in elements.Zip(lines))
                Assert.True(JsonElement.DeepEquals(JsonDocument.Parse(element).RootElement, JsonDocument.Parse(line.Bytes).RootElement));
            Assert.Equal(Enumerable.Range(0, lines.Length).Select(i => (long)i), lines.Select(l => l.Number));
        }
    }

    [Theory]
    [InlineData("[{\"a\":1}", "does not end")]
    [InlineData("[{\"a\":\"x", "does not end")]
    [InlineData("[", "does not end")]
    [InlineData("[1]\n[2]", "something follows it")]
    [InlineData("[1],", "something follows it")]
    public void A_part_of_an_array_is_an_error(string file, string error) =>
        Assert.Contains(error, Assert.Throws<UsageException>(() => Read(Encoding.UTF8.GetBytes(file), 3)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("{\"prompt\":\"a\"}", "UTF-16")]
    [InlineData("{\"prompt\":\"a\"}", "UTF-32")]
    [InlineData("BZh91AY", "bzip2")]
    [InlineData("PK\u0003\u0004xl/workbook", "zip archive or an Excel")]
    [InlineData("  <!DOCTYPE html>\n<html>", "web page")]
    [InlineData("version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer")]
    [InlineData("%PDF-1.4", "PDF")]
    [InlineData("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "XML document")]
    [InlineData("../../blobs/0123456789abcdef", "path of a link")]
    public void What_is_not_read_is_one_error_that_names_it(string file, string name)
    {
        Encoding[] encodings = name switch
        {
            "UTF-16" => [new UnicodeEncoding(false, true), new UnicodeEncoding(true, true), new UnicodeEncoding(false, false), new UnicodeEncoding(true, false)],
            "UTF-32" => [new UTF32Encoding(false, true), new UTF32Encoding(true, true), new UTF32Encoding(false, false), new UTF32Encoding(true, false)],
            _ => [Encoding.Latin1],
        };
        foreach (Encoding encoding in encodings)
        {
            byte[] bytes = [.. encoding.GetPreamble(), .. encoding.GetBytes(file)];
            foreach (int chunk in (int[])[1, 1 << 16])
                Assert.Contains(name, Assert.Throws<UsageException>(() => Read(bytes, chunk)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_tar_archive_is_named()
    {
        byte[] tar = new byte[512];
        "data.jsonl"u8.CopyTo(tar);
        "ustar"u8.CopyTo(tar.AsSpan(257));
        Assert.Contains("tar archive", Assert.Throws<UsageException>(() => Read(tar, 100)).Message, StringComparison.Ordinal);
    }

    private static RawLine[] Read(byte[] file, int chunk) => ContainerFile.Lines(file, chunk);
}
