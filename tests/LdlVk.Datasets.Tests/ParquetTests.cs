using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Containers.Json;
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

    /// <summary>Each file has one column and one page, and claims more than it holds.</summary>
    [Theory]
    // One page of DELTA_LENGTH_BYTE_ARRAY: 2³¹ - 1 lengths in 2,048 blocks of zero width. One row is read, an empty text.
    [InlineData(
        "504152311500159840153c2c1502150c15061506000028b52ffd04688d00005080804001ffffffff07000100fff701126079cb2d1502192c48067363" +
        "68656d61150200150c2500180670726f6d70742500001602191c191c26081c150c19150019180670726f6d7074150c16021660166026080000160216" +
        "0200004700000050415231", null)]
    // 2³¹ - 1 rows, all null, in one run.
    [InlineData(
        "504152311500151415142c15feffffff0f150015061506000006000000feffffff0f001502192c4806736368656d61150200150c2502180670726f6d" +
        "707425000016feffffff0f191c191c26081c150c19150019180670726f6d7074150016feffffff0f163e163e26080000160216feffffff0f00005300" +
        "000050415231", "2,147,483,647 rows")]
    // One row, a list of 1.5 billion nulls.
    [InlineData(
        "504152311500152c152c2c1580bcc1960b1500150615060000080000000200febbc1960b010600000080bcc1960b021502194c4806736368656d6115" +
        "020035021809726573706f6e7365731502150600350418046c697374150200150c25021807656c656d656e742500001602191c191c26081c150c1915" +
        "00193809726573706f6e736573046c69737407656c656d656e7415001680bcc1960b16561656260800001656160200007900000050415231",
        "1,024 entries")]
    // A page of 10 bytes in Snappy that claims 2 GiB.
    [InlineData(
        "50415231150015feffffff0f15142c15021500150615060000ffffffff0700000000001502192c4806736368656d61150200150c2500180670726f6d" +
        "70742500001602191c191c26081c150c19150019180670726f6d707415021602163e163e26080000163e160200004700000050415231", "more than their bytes can hold")]
    public void Work_and_memory_are_bounded_by_the_bytes_of_the_file(string hex, string? why)
    {
        File.WriteAllBytes(_folder["claim"], Convert.FromHexString(hex));
        long start = Stopwatch.GetTimestamp(), before = GC.GetAllocatedBytesForCurrentThread();
        using ParquetFile file = ParquetFile.Open(_folder["claim"], CancellationToken.None);
        if (why is null) Assert.Equal("""{"prompt":""}""", Encoding.UTF8.GetString(Assert.Single(file.Lines()).Bytes.Span));
        else Assert.Contains(why, Assert.Throws<IOException>(() => file.Lines().Take(1_000_000).Count()).Message, StringComparison.Ordinal);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        Assert.InRange(Stopwatch.GetElapsedTime(start), TimeSpan.Zero, TimeSpan.FromSeconds(5));
    }

    /// <summary>Row groups that point to the same pages would have them decompressed any number of times.</summary>
    [Fact]
    public void Pages_that_overlap_and_claims_of_pages_are_refused()
    {
        PageBudget budget = new(1000);
        budget.AddPage(900, 1_000_000);
        Assert.Contains("overlap", Assert.Throws<InvalidDataException>(() => budget.AddPage(101, 1)).Message, StringComparison.Ordinal);
        PageBudget small = new(1000);
        Assert.Contains("can hold", Assert.Throws<InvalidDataException>(() => small.AddPage(10, 65 << 20)).Message, StringComparison.Ordinal);
        PageBudget memory = new(1000);
        byte[] buffer = [];
        Assert.Throws<NotSupportedException>(() => memory.Grow(ref buffer, 100 << 20));
        memory = new PageBudget(1000);
        memory.AddEntries(1 << 20);
        memory.AddEntries(1000 * 1024);
        Assert.Throws<InvalidDataException>(() => memory.AddEntries(1));
    }

    /// <summary>Arrow and parquet-java write the difference of int.MinValue and int.MaxValue as 1.</summary>
    [Theory]
    [InlineData(true, int.MinValue)]
    [InlineData(false, int.MaxValue + 1L)]
    public void Differences_of_32_bits_wrap(bool isInt32, long second)
    {
        // Blocks of 128 in 4 mini blocks; 2 values; the first; the least difference; 4 widths.
        DeltaValues values = new(new byte[] { 0x80, 1, 4, 2, 0xfe, 0xff, 0xff, 0xff, 0x0f, 2, 0, 0, 0, 0 }, isInt32);
        Assert.Equal((int.MaxValue, second), (values.Next().Number, values.Next().Number));
    }

    /// <summary>Where all texts of a page are null, parquet-java writes the head of the lengths all the same.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_page_of_texts_may_have_none(bool havePrefixes)
    {
        byte[] none = [0x80, 1, 4, 0, 0];
        DeltaTexts texts = new((byte[])[.. havePrefixes ? none : [], .. none], havePrefixes);
        Assert.Throws<InvalidDataException>(() => texts.Next());
    }

    /// <summary>A decimal in 32 bits, and bytes of a fixed length, as of UUIDs. Left out, rows would have their numbers as ids.</summary>
    [Theory]
    [InlineData("1502" + "3802" + "6964" + "250a")]
    [InlineData("150e" + "3802" + "6964")]
    public void Ids_without_a_form_in_JSON_are_an_error(string id) =>
        Refused([0x15, 2, 0x19, 0x2c, 0x48, 1, (byte)'s', 0x15, 2, 0, .. Convert.FromHexString(id), 0, 0], "its column id has a type without a form in JSON");

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
