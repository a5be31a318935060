using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Apache.Arrow;
using Apache.Arrow.Compression;
using Apache.Arrow.Ipc;
using Apache.Arrow.Types;
using LdlVk.Datasets.Containers;
using LdlVk.Datasets.Lines;
using LdlVk.Evaluation.Benchmarks;
using LdlVk.Testing;

namespace LdlVk.Mutation;

/// <summary>Readers of data sets: every line is parsed, and its error is written as a result.</summary>
internal static class DatasetReaders
{
    /// <summary>Lines of an input that are read; a run would read on, and can be stopped.</summary>
    private const int MaxLines = 100_000;

    private const string Lines = """
        {"id":7,"prompt":"Define \"sea\".","response":"Salt water.\n"}
        {"id":"é","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"assistant","content":"b"}]}
        {"prompt":"a","responses":["b","c",{"response":"d","score":1.5}],"history":[["x","y"]],"system":"s"}
        {"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}],"source":NaN}
        {"instruction":"a","input":"b","output":"c","meta":{"k":[1,2,{"x":null}]}}
        {"prompt":[{"role":"user","content":"a"}],"chosen":[{"role":"assistant","content":"b"}],"rejected":"c","subset":"x"}
        {"chosen":"\n\nHuman: a\n\nAssistant: b","rejected":"\n\nHuman: a\n\nAssistant: c"}
        {"prompt":"a","response_a":"b","response_b":"c","winner":"model_a","preference_strength":-1}
        {"messages":{"role":["user","assistant"],"content":["a","b"]}}
        {"text":"<bos><start_of_turn>user\na<end_of_turn>\n"}
        {"input_ids":[2,106,1645]}
        {"prompt":[1e99999999999],"question":[1e99999999999],"response":"a"}

        """;

    private static readonly string[] One = [.. Lines.Split('\n', StringSplitOptions.RemoveEmptyEntries)];

    private static readonly string[] Rows =
    [
        "id,prompt,response,system\n1,a,\"b, \"\"c\"\"\",\n2,\"x\ny\",z,s\n",
        "\uFEFFprompt\tchosen\trejected\r\na\tb\tc\r\n\"d\"\t\"[{\"\"role\"\":\"\"user\"\"}]\"\tf\r\n",
        "question;answer;input_ids\n1;2;\"[1,2]\"\n",
        "messages,winner\n\"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"a\"\"},{\"\"role\"\":\"\"assistant\"\",\"\"content\"\":\"\"b\"\"}]\",1\n",
    ];

    public static Reader JsonLines() => Of("json-lines", [Bytes(Lines), .. One.Select(Bytes), Bytes(new string('\n', 5000))], bombs: 1, isJson: true);

    public static Reader JsonArray() => Of(
        "json-array",
        [Bytes($"[{string.Join(",\n", One.Select(l => l.Replace("NaN", "null", StringComparison.Ordinal)))}]"), Bytes(Pretty()), Bytes("[[[[]]]]"), Bytes(new string('[', 20_000))],
        bombs: 1, isJson: true);

    public static Reader JsonColumns() => Of(
        "json-columns",
        [
            Bytes("""{"prompt":["a","b","c"],"response":["d","e","f"],"id":[1,2,3],"meta":[{"x":[1]},null,"y"],"version":null}"""),
            Bytes("""{"messages":[[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]],"subset":["x"]}"""),
            Bytes($"{{\"{new string('n', 2_000)}\":[{string.Join(',', Enumerable.Repeat("0", 2_000))}],\"prompt\":[{string.Join(',', Enumerable.Repeat("\"\"", 2_000))}]}}"),
        ],
        bombs: 1, isJson: true);

    public static Reader Csv() => Of(
        "csv",
        [.. Rows.Select(Bytes), Bytes($"prompt,{new string('n', 2_000)}\n{new string('\n', 2_000)}"), Bytes("prompt,\"" + new string(',', 50_000))],
        bombs: 2, words: [",", "\t", ";", "\"", "\"\"", "\r", "\n", "\r\n", "\0"]);

    public static Reader Parquet() => Of(
        "parquet",
        [
            .. Directory.EnumerateFiles(Repository.Path("tests", "data", "parquet"), "*.parquet").Order(StringComparer.Ordinal).Select(File.ReadAllBytes),
            .. Bombs.Parquet,
        ],
        bombs: Bombs.Parquet.Count);

    public static Reader Arrow() => Of("arrow", [.. ArrowSeeds()], bombs: 0);

    public static Reader ArrowFolder()
    {
        byte[] data = ArrowSeeds().First();
        return new Reader(
            "arrow-folder", [Bytes("""{"_data_files":[{"filename":"a.arrow"},{"filename":"a.arrow"}],"_split":"train","_indices_data_files":null}""")],
            (folder, input) =>
            {
                File.WriteAllBytes(folder["a.arrow"], data);
                File.WriteAllBytes(folder["state.json"], input);
                ReadAll(folder.Path);
            })
        {
            IsJson = true,
        };
    }

    public static Reader Gzip() => Of(
        "gzip",
        [
            Packed(Lines), [.. Packed(Lines), .. Packed(Rows[0])], [.. Packed(Rows[0]), .. new byte[100]], Packed(new string('\n', 1_000_000)),
            Packed(Encoding.UTF8.GetString(new byte[2_000_000])),
        ],
        bombs: 2);

    public static Reader Zstandard()
    {
        using ZstdSharp.Compressor compressor = new();
        return Of(
            "zstandard",
            [
                compressor.Wrap(Bytes(Lines)).ToArray(),
                [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4, .. compressor.Wrap(Bytes(Rows[0]))],
                compressor.Wrap(new byte[30_000_000]).ToArray(),
                compressor.Wrap(Bytes(new string('\n', 1_000_000))).ToArray(),
            ],
            bombs: 2);
    }

    public static Reader Pairs() => new(
        "pairs",
        [.. One.Skip(5).Take(3).Select(Bytes), Bytes("""{"id":"tied:3","prompt":"a","chosen":["b","c"],"rejected":["d"],"subset":"Ties","num_correct":2}"""), Bytes("""{"prompt":"a","chosen":["1","2","3"],"rejected":["4","5","6"],"domain":"chat"}""")],
        (_, input) =>
        {
            PairLine line = PairLine.Parse(new RawLine(0, input));
            Write(line.Texts);
        })
    {
        IsJson = true,
    };

    private static Reader Of(string name, IEnumerable<byte[]> seeds, int bombs, bool isJson = false, string[]? words = null) => new(name, seeds, (folder, input) =>
    {
        File.WriteAllBytes(folder["input"], input);
        ReadAll(folder["input"]);
    })
    {
        IsJson = isJson, Bombs = bombs, Words = [.. (words ?? []).Select(Bytes)],
    };

    private static void ReadAll(string path)
    {
        using LineSource source = LineSource.Open(path);
        foreach (InputLine line in source.Lines().Take(MaxLines)) Write(line);
    }

    /// <summary>Writes the line's error as a result, which must be one line of JSON of bounded length.</summary>
    private static void Write(InputLine line)
    {
        if (line.Error is not { } error) return;
        if (error.Length > 2000) throw new InvalidOperationException($"The error has {error.Length} characters: {error[..200]}");
        using MemoryStream output = new();
        new ResultWriter(output).WriteError(line.Id, error);
        ReadOnlySpan<byte> result = output.GetBuffer().AsSpan(0, (int)output.Length);
        if (result.Count((byte)'\n') != 1) throw new InvalidOperationException("A result has several lines.");
        Utf8JsonReader json = new(result);
        while (json.Read())
        {
        }

        _ = line.Name;
    }

    private static string Pretty() =>
        string.Join('\n', One.Where(l => !l.Contains("NaN", StringComparison.Ordinal)).Select(l => l.Replace(",", ",\n  ", StringComparison.Ordinal).Replace("{", "{\n  ", StringComparison.Ordinal)));

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    private static byte[] Packed(string text)
    {
        using MemoryStream packed = new();
        using (GZipStream gzip = new(packed, CompressionLevel.Optimal)) gzip.Write(Bytes(text));
        return packed.ToArray();
    }

    private static IEnumerable<byte[]> ArrowSeeds()
    {
        foreach (CompressionCodecType? codec in (CompressionCodecType?[])[null, CompressionCodecType.Lz4Frame, CompressionCodecType.Zstd])
        {
            foreach (bool isFile in (bool[])[false, true])
            {
                RecordBatch batch = Batch();
                using MemoryStream stream = new();
                IpcOptions options = new() { CompressionCodec = codec, CompressionCodecFactory = codec is null ? null : new CompressionCodecFactory() };
                using (ArrowStreamWriter writer = isFile
                    ? new ArrowFileWriter(stream, batch.Schema, leaveOpen: true, options)
                    : new ArrowStreamWriter(stream, batch.Schema, leaveOpen: true, options))
                {
                    writer.WriteRecordBatch(batch);
                    writer.WriteRecordBatch(batch);
                    writer.WriteEnd();
                }

                yield return stream.ToArray();
            }
        }
    }

    private static RecordBatch Batch()
    {
        StringArray texts = new StringArray.Builder().Append("a").AppendNull().Append("bé").Build();
        StringViewArray views = new StringViewArray.Builder().Append("short").Append("longer than twelve").AppendNull().Build();
        Int32Array numbers = new Int32Array.Builder().Append(1).AppendNull().Append(-3).Build();
        BooleanArray flags = new BooleanArray.Builder().Append(true).AppendNull().Append(false).Build();
        ListArray.Builder list = new(StringType.Default);
        StringArray.Builder items = (StringArray.Builder)list.ValueBuilder;
        list.Append();
        items.Append("x");
        list.AppendNull();
        list.Append();
        StructType pair = new([new Field("role", StringType.Default, true), new Field("content", StringType.Default, true)]);
        StructArray objects = new(pair, 3, [texts, texts], ArrowBuffer.Empty);
        DictionaryArray dictionary = new(new DictionaryType(Int8Type.Default, StringType.Default, false), new Int8Array.Builder().Append(0).Append(2).AppendNull().Build(), texts);
        (string, IArrowArray)[] columns =
        [
            ("prompt", texts), ("response", views), ("id", numbers), ("flag", flags), ("tags", list.Build()), ("message", objects),
            ("source", dictionary), ("nothing", new NullArray(3)), ("score", new DoubleArray.Builder().Append(1.5).Append(double.NaN).AppendNull().Build()),
        ];
        return new RecordBatch(new Schema(columns.Select(c => new Field(c.Item1, c.Item2.Data.DataType, true)), null), columns.Select(c => c.Item2), 3);
    }
}
