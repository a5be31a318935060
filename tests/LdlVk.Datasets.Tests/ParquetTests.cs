using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Containers.Parquet;
using LdlVk.Datasets.Lines;
using LdlVk.Testing;

namespace LdlVk.Datasets.Tests;

/// <summary>Parquet as input: files of three independent writers (tests/data/parquet/make.mjs), and files that are damaged or lie.</summary>
public sealed class ParquetTests : IDisposable
{
    private static readonly string[] Rows = File.ReadAllLines(Repository.Path("tests", "data", "parquet", "rows.jsonl"));

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("duckdb-uncompressed", 11)]
    [InlineData("duckdb-snappy", 11)]
    [InlineData("duckdb-gzip", 11)]
    [InlineData("duckdb-zstd", 11)]
    [InlineData("duckdb-brotli", 11)]
    [InlineData("duckdb-lz4", 11)]
    [InlineData("duckdb-v2", 11)]
    [InlineData("duckdb-json", 5)]
    [InlineData("arrow-lz4-hadoop", 4)]
    [InlineData("hyparquet", 7)]
    public void Rows_are_those_that_were_written(string name, int columns)
    {
        using ParquetFile file = ParquetFile.Open(Data(name), CancellationToken.None);
        int row = 0;
        foreach (RawLine line in file.Lines())
        {
            using JsonDocument got = JsonDocument.Parse(line.Bytes), want = JsonDocument.Parse(Rows[row]);
            Assert.Equal(row++, line.Number);
            Assert.Equal(columns, got.RootElement.EnumerateObject().Count());
            foreach (JsonProperty field in got.RootElement.EnumerateObject())
            {
                JsonElement wanted = want.RootElement.GetProperty(field.Name);
                Assert.True(JsonElement.DeepEquals(wanted, field.Value), $"row {row - 1}: {field} instead of {wanted}");
            }
        }

        Assert.Equal(Rows.Length, row);
        Assert.Equal(1, file.Share);
    }

    [Theory]
    [InlineData("""{"a": 1}""", """{"a": 1}""")]
    [InlineData("[1,\r\n2]", "[1,  2]")]
    [InlineData(""" "a text" """, """ "a text" """)]
    [InlineData("""1, "id": 2""", null)]
    [InlineData("{}{}", null)]
    [InlineData("plain text", null)]
    [InlineData("", null)]
    public void A_text_of_type_JSON_is_a_value_only_if_it_is_one(string text, string? written)
    {
        JsonText json = new();
        Assert.Equal(written is not null, json.TryValue(Encoding.UTF8.GetBytes(text)));
        Assert.Equal(written ?? "", Encoding.UTF8.GetString(json.Bytes.Span));
    }

    [Fact]
    public void Damaged_files_are_errors_of_ours_in_bounded_memory()
    {
        Random random = new(7);
        foreach (string name in (string[])["duckdb-snappy", "duckdb-v2", "duckdb-zstd", "duckdb-lz4", "duckdb-json", "arrow-lz4-hadoop", "hyparquet"])
        {
            byte[] sound = File.ReadAllBytes(Data(name));
            int failed = 0;
            for (int i = 0; i < 400; i++)
            {
                byte[] bytes = [.. sound];
                int flips = 1 + random.Next(4);
                // Half of the time in the description, where every byte means something.
                int footer = BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(bytes.Length - 8));
                for (int f = 0; f < flips; f++) bytes[i % 2 == 0 ? random.Next(4, bytes.Length) : random.Next(bytes.Length - footer - 8, bytes.Length)] = (byte)random.Next(256);
                failed += Survives(bytes) ? 0 : 1;
            }

            for (int i = 0; i < 60; i++) Assert.False(Survives(sound[..random.Next(4, sound.Length - 1)]));
            Assert.InRange(failed, 100, 400);
        }
    }

    [Fact]
    public void Lies_about_counts_are_errors_and_take_no_memory()
    {
        // version, then a schema that claims 2³¹ items; row groups that claim as many; structs in structs.
        byte[] many = [0xff, 0xff, 0xff, 0xff, 0x07];
        Refused([0x15, 0x02, 0x19, 0xfc, .. many, 0x00], "ends too early");
        Refused([0x15, 0x02, 0x39, 0xfc, .. many, 0x00], "ends too early");
        Refused([.. Enumerable.Repeat((byte)0xfc, 100_000)], "nested too deeply");
        Refused([0x19, .. Enumerable.Repeat((byte)0xf9, 100_000)], "");
        Refused([], "too early");
        foreach (int length in (int[])[-1, int.MaxValue, 1 << 20])
            Refused([], "longer than the file", length);
    }

    private void Refused(byte[] footer, string why, int? length = null)
    {
        byte[] bytes = [.. "PAR1"u8, .. footer, 0, 0, 0, 0, .. "PAR1"u8];
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(bytes.Length - 8), length ?? footer.Length);
        File.WriteAllBytes(_folder["lie"], bytes);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains(why, Assert.Throws<IOException>(() => ParquetFile.Open(_folder["lie"], CancellationToken.None)).Message, StringComparison.Ordinal);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    /// <summary>Reads a file, which may be damaged; false if it is an error of ours, and anything else fails the test.</summary>
    private bool Survives(byte[] bytes)
    {
        File.WriteAllBytes(_folder["damaged"], bytes);
        try
        {
            using ParquetFile file = ParquetFile.Open(_folder["damaged"], CancellationToken.None);
            foreach (RawLine line in file.Lines().Take(10_000)) InputLine.Parse(line);
            return true;
        }
        catch (IOException e)
        {
            Assert.StartsWith(_folder["damaged"], e.Message, StringComparison.Ordinal);
            return false;
        }
    }

    private static string Data(string name) => Repository.Path("tests", "data", "parquet", name + ".parquet");
}
