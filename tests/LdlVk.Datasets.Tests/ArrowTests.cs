using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using Apache.Arrow;
using Apache.Arrow.Compression;
using Apache.Arrow.Ipc;
using Apache.Arrow.Types;
using LdlVk.Datasets.Lines;
using LdlVk.Testing;

namespace LdlVk.Datasets.Tests;

/// <summary>Arrow files and streams, which the library Apache.Arrow writes.</summary>
public sealed class ArrowTests
{
    private const int Rows = 300;

    [Theory]
    [InlineData(true, null)]
    [InlineData(false, null)]
    [InlineData(true, CompressionCodecType.Lz4Frame)]
    [InlineData(false, CompressionCodecType.Zstd)]
    public void All_types_are_read_as_they_were_written(bool isFile, CompressionCodecType? codec)
    {
        (RecordBatch batch, string[] want) = AllTypes();
        byte[] file = Write(isFile, codec, batch, batch);
        foreach (int chunk in (int[])[501, 1 << 16])
        {
            string[] got = [.. ContainerFile.Lines(file, chunk).Select(line => Encoding.UTF8.GetString(line.Bytes.Span))];
            Assert.Equal([.. want, .. want], got);
        }
    }

    [Fact]
    public void Rows_are_items()
    {
        StructType message = new([new Field("role", StringType.Default, true), new Field("content", StringType.Default, true)]);
        ArrayData texts(params string[] all) => new StringArray.Builder().AppendRange(all).Build().Data;
        StructArray messages = new(message, 2, [ArrowArrayFactory.BuildArray(texts("user", "assistant")), ArrowArrayFactory.BuildArray(texts("a", "b"))], ArrowBuffer.Empty);
        ListArray list = new(new ListType(message), 1, new ArrowBuffer.Builder<int>().AppendRange([0, 2]).Build(), messages, ArrowBuffer.Empty);
        RecordBatch batch = new(new Schema([new Field("messages", list.Data.DataType, true), new Field("id", StringType.Default, true)], null),
            [list, new StringArray.Builder().Append("x").Build()], 1);
        InputLine line = InputLine.Parse(Assert.Single(ContainerFile.Lines(Write(false, null, batch))));
        Assert.Equal(("\"x\"", "user: a | assistant: b"), (line.Id, ContainerFile.Said(line)));
    }

    [Fact]
    public void A_folder_of_datasets_is_read_in_the_order_of_its_state()
    {
        using TempFolder folder = new();
        string[] names = ["data-00001-of-00002.arrow", "data-00000-of-00002.arrow"];
        foreach ((int i, string name) in names.Index()) File.WriteAllBytes(folder[name], Write(false, null, Texts($"t{i}a", $"t{i}b")));
        File.WriteAllText(folder["dataset_info.json"], "{}");
        File.WriteAllText(folder["state.json"], JsonSerializer.Serialize(new { _data_files = names.Select(filename => new { filename }), _split = "train" }));
        using (LineSource source = LineSource.Open(folder.Path))
            Assert.Equal([("0", "t0a"), ("1", "t0b"), ("2", "t1a"), ("3", "t1b")], source.Lines().Select(l => (l.Id, l.Item.Templated!)));
        Refused("_data_files names", """{"_data_files":[{"filename":"data-00002-of-00002.arrow"}]}""", "there is no such file");
        Refused("outside", """{"_data_files":[{"filename":"../x.arrow"}]}""", "which is no file of the folder");
        Refused("selection", """{"_data_files":[],"_indices_data_files":[{"filename":"i.arrow"}]}""", "a selection of rows");
        foreach (string broken in (string[])["[]", "{", "{\"_data_files\":3}", "{\"_data_files\":[3]}"]) Refused("broken", broken, "is damaged");
        File.Delete(folder["state.json"]);
        Assert.Contains("it has no state.json", Assert.Throws<UsageException>(() => LineSource.Open(folder.Path)).Message, StringComparison.Ordinal);

        void Refused(string _, string state, string error)
        {
            File.WriteAllText(folder["state.json"], state);
            Assert.Contains(error, Assert.Throws<UsageException>(() => LineSource.Open(folder.Path)).Message, StringComparison.Ordinal);
        }
    }

    /// <summary>Old writers of tables keep texts in Latin-1. Read as null, a system message would be missing from the text.</summary>
    [Theory]
    [InlineData("system", "system is bytes that are not UTF-8")]
    [InlineData("context", "context would be a part of the text")]
    [InlineData("response", "response is bytes that are not UTF-8")]
    [InlineData("id", "id is bytes that are not UTF-8")]
    [InlineData("embedding", null)]
    public void Bytes_that_are_no_text_are_an_error_where_they_would_be_read(string name, string? error)
    {
        string[] texts = [.. ((string[])["prompt", "response"]).Where(text => text != name)];
        BinaryArray bytes = new BinaryArray.Builder().Append((ReadOnlySpan<byte>)[.. "Caf"u8, 0xe9]).Build();
        RecordBatch batch = new(
            new Schema([new Field(name, BinaryType.Default, true), .. texts.Select(text => new Field(text, StringType.Default, true))], null),
            [bytes, .. texts.Select(text => new StringArray.Builder().Append(text).Build())], 1);
        InputLine line = InputLine.Parse(Assert.Single(ContainerFile.Lines(Write(false, null, batch))));
        if (error is null) Assert.Equal("user: prompt | assistant: response", ContainerFile.Said(line));
        else Assert.StartsWith(error, line.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Ids_without_a_form_in_JSON_are_an_error()
    {
        Decimal128Array ids = new Decimal128Array.Builder(new Decimal128Type(10, 0)).Append(7m).Build();
        RecordBatch batch = new(
            new Schema([new Field("id", ids.Data.DataType, true), new Field("text", StringType.Default, true)], null),
            [ids, new StringArray.Builder().Append("t").Build()], 1);
        string error = Assert.Throws<IOException>(() => ContainerFile.Lines(Write(false, null, batch))).Message;
        Assert.Contains("its column id has a type without a form in JSON", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_part_of_a_file_is_an_error(bool isFile)
    {
        byte[] file = Write(isFile, null, Texts("a", "b"), Texts("c"));
        for (int length = 8; length < file.Length; length++)
            Assert.Contains("not all of it is there", Assert.Throws<IOException>(() => ContainerFile.Lines(file[..length])).Message, StringComparison.Ordinal);
        Assert.Throws<IOException>(() => ContainerFile.Lines([.. file, .. file]));
        Assert.Equal(3, ContainerFile.Lines(file).Length);
    }

    [Fact]
    public void Claims_of_a_file_take_no_memory_and_no_time()
    {
        byte[] file = Write(false, null, Texts("a", "b"));
        byte[] metadata = [.. file];
        BinaryPrimitives.WriteInt32LittleEndian(metadata.AsSpan(4), 60 << 20);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<IOException>(() => ContainerFile.Lines(metadata));
        // 2⁴⁰ and 2³⁰ rows of a column without bytes.
        NullArray nulls = new(3);
        byte[] rows = Write(false, null, new RecordBatch(new Schema([new Field("a", NullType.Default, true)], null), [nulls], 3));
        int replaced = 0;
        for (int i = 0; i + 8 <= rows.Length; i++)
            if (BinaryPrimitives.ReadInt64LittleEndian(rows.AsSpan(i)) == 3) (replaced, rows[i], rows[i + 3]) = (replaced + 1, 0, 0x40);
        Assert.True(replaced >= 2);
        Assert.Contains("which its bytes cannot hold", Assert.Throws<IOException>(() => ContainerFile.Lines(rows)).Message, StringComparison.Ordinal);
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20);
    }

    [Fact]
    public void Columns_nested_too_deeply_are_refused()
    {
        IArrowType type = StringType.Default;
        for (int i = 0; i < 100; i++) type = new StructType([new Field("a", type, true)]);
        using MemoryStream stream = new();
        using (ArrowStreamWriter writer = new(stream, new Schema([new Field("a", type, true)], null), leaveOpen: true))
        {
            writer.WriteStart();
            writer.WriteEnd();
        }

        Assert.Contains("nested more than 32 deep", Assert.Throws<IOException>(() => ContainerFile.Lines(stream.ToArray())).Message, StringComparison.Ordinal);
    }

    private static RecordBatch Texts(params string[] texts) =>
        new(new Schema([new Field("text", StringType.Default, true)], null), [new StringArray.Builder().AppendRange(texts).Build()], texts.Length);

    private static byte[] Write(bool isFile, CompressionCodecType? codec, params RecordBatch[] batches)
    {
        using MemoryStream stream = new();
        IpcOptions options = new() { CompressionCodec = codec, CompressionCodecFactory = codec is null ? null : new CompressionCodecFactory() };
        using (ArrowStreamWriter writer = isFile
            ? new ArrowFileWriter(stream, batches[0].Schema, leaveOpen: true, options)
            : new ArrowStreamWriter(stream, batches[0].Schema, leaveOpen: true, options))
        {
            foreach (RecordBatch batch in batches) writer.WriteRecordBatch(batch);
            writer.WriteEnd();
        }

        return stream.ToArray();
    }

    /// <summary>Creates a batch with a column of each type, and its rows as JSON.</summary>
    private static (RecordBatch Batch, string[] Rows) AllTypes()
    {
        Random random = new(3);
        List<(Field Field, IArrowArray Array, string?[] Json)> columns = [];
        string text(int i) => i % 7 == 0 ? "" : new string((char)('a' + (i % 26)), i % 40) + "\"é\n";
        string quoted(string s) => $"\"{s.Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\u000a", StringComparison.Ordinal)}\"";
        bool[] there = [.. Enumerable.Range(0, Rows).Select(_ => random.Next(5) > 0)];
        string?[] each(Func<int, string> json) => [.. Enumerable.Range(0, Rows).Select(i => there[i] ? json(i) : null)];
        void add(string name, IArrowArray array, string?[] json) => columns.Add((new Field(name, array.Data.DataType, true), array, json));

        Int8Array.Builder int8 = new();
        Int32Array.Builder int32 = new();
        Int64Array.Builder int64 = new();
        UInt64Array.Builder uint64 = new();
        FloatArray.Builder single = new();
        DoubleArray.Builder number = new();
        BooleanArray.Builder flag = new();
        StringArray.Builder utf8 = new();
        LargeStringArray.Builder large = new();
        StringViewArray.Builder view = new();
        BinaryArray.Builder binary = new();
        TimestampArray.Builder time = new(TimeUnit.Second);
        ListArray.Builder list = new(StringType.Default);
        StringArray.Builder items = (StringArray.Builder)list.ValueBuilder;
        Decimal128Array.Builder leftOut = new(new Decimal128Type(10, 2));
        for (int i = 0; i < Rows; i++)
        {
            leftOut.Append(i);
            if (!there[i])
            {
                int8.AppendNull();
                int32.AppendNull();
                int64.AppendNull();
                uint64.AppendNull();
                single.AppendNull();
                number.AppendNull();
                flag.AppendNull();
                utf8.AppendNull();
                large.AppendNull();
                view.AppendNull();
                binary.AppendNull();
                time.AppendNull();
                list.AppendNull();
                continue;
            }

            int8.Append((sbyte)(i - 150));
            int32.Append(i * -7_000_000);
            int64.Append(long.MinValue + i);
            uint64.Append(ulong.MaxValue - (ulong)i);
            single.Append(i / 3f);
            number.Append(i / 3.0);
            flag.Append(i % 3 == 0);
            utf8.Append(text(i));
            large.Append(text(i));
            view.Append(text(i));
            binary.Append((ReadOnlySpan<byte>)(i % 2 == 0 ? [0xff, 0xfe] : Encoding.UTF8.GetBytes(text(i))));
            time.Append(DateTimeOffset.FromUnixTimeSeconds(i));
            list.Append();
            for (int k = 0; k < i % 4; k++) items.Append(text(i + k));
        }

        add("int8", int8.Build(), each(i => $"{(sbyte)(i - 150)}"));
        add("int32", int32.Build(), each(i => $"{i * -7_000_000}"));
        add("decimal", leftOut.Build(), []);
        add("int64", int64.Build(), each(i => $"{long.MinValue + i}"));
        add("uint64", uint64.Build(), each(i => $"{ulong.MaxValue - (ulong)i}"));
        add("single", single.Build(), each(i => FormattableString.Invariant($"{i / 3f:R}")));
        add("double", number.Build(), each(i => FormattableString.Invariant($"{i / 3.0:R}")));
        add("bool", flag.Build(), each(i => i % 3 == 0 ? "true" : "false"));
        StringArray texts = utf8.Build();
        add("text", texts, each(i => quoted(text(i))));
        add("large", large.Build(), each(i => quoted(text(i))));
        add("view", view.Build(), each(i => quoted(text(i))));
        add("binary", binary.Build(), each(i => i % 2 == 0 ? """{"bytes that are not UTF-8":true}""" : quoted(text(i))));
        add("time", time.Build(), each(i => $"{i}"));
        add("list", list.Build(), each(i => $"[{string.Join(',', Enumerable.Range(0, i % 4).Select(k => quoted(text(i + k))))}]"));
        add("null", new NullArray(Rows), new string?[Rows]);
        StructType pair = new([new Field("a", texts.Data.DataType, true)]);
        add("struct", new StructArray(pair, Rows, [texts], ArrowBuffer.Empty), [.. each(i => quoted(text(i))).Select(s => $"{{\"a\":{s ?? "null"}}}")]);
        Int16Array indices = new Int16Array.Builder().AppendRange(Enumerable.Range(0, Rows).Select(i => (short)(i * 7 % Rows))).Build();
        add("dictionary", new DictionaryArray(new DictionaryType(Int16Type.Default, texts.Data.DataType, false), indices, texts),
            [.. Enumerable.Range(0, Rows).Select(i => i * 7 % Rows).Select(i => there[i] ? quoted(text(i)) : null)]);
        Field json = new("json", StringType.Default, true, new Dictionary<string, string> { ["ARROW:extension:name"] = "arrow.json" });
        StringArray values = new StringArray.Builder().AppendRange(Enumerable.Range(0, Rows).Select(i => i % 9 == 0 ? "no json" : $"[{i},\n{{}}]")).Build();
        columns.Add((json, values, [.. Enumerable.Range(0, Rows).Select(i => i % 9 == 0 ? "\"no json\"" : $"[{i}, {{}}]")]));
        RecordBatch batch = new(new Schema(columns.Select(c => c.Field), null), columns.Select(c => c.Array), Rows);
        string[] rows = [.. Enumerable.Range(0, Rows).Select(i =>
            $"{{{string.Join(',', columns.Where(c => c.Json.Length > 0).Select(c => $"\"{c.Field.Name}\":{c.Json[i] ?? "null"}"))}}}")];
        return (batch, rows);
    }
}
