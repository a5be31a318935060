using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Conversion;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Text;
using LdlVk.Runtime.Text.Jinja;
using LdlVk.Testing;

namespace LdlVk.Mutation;

/// <summary>Readers of a model's files. Of what opens, some elements of each tensor are read.</summary>
internal static class CheckpointReaders
{
    private static readonly SyntheticShape Tiny = new(32, 1, 1, 1, 32, 64, 64, 16);

    private static readonly string[] Texts =
    [
        "", "The sea is a large body of salt water.", "<bos><start_of_turn>user\nhé \U0001f600 \ud800 x\0\u0001<end_of_turn>\n",
        new string('a', 36) + "   \n\n\n\t\t 1234567 'll it's",
    ];

    private static string Mini => Repository.Path("models", "ldl-mini");

    public static Reader Config()
    {
        string[] configs =
        [
            File.ReadAllText(Path.Combine(Mini, "config.json")),
            .. ((string[])["goldens", "families"]).SelectMany(set => Directory.EnumerateFiles(Repository.Path("tests", "data", set), "config.json", SearchOption.AllDirectories))
                .Order(StringComparer.Ordinal).Select(File.ReadAllText),
        ];
        byte[] own = [];
        return InModel("config", folder => own = File.ReadAllBytes(folder["config.json"]), "config.json", () => [own, .. configs.Select(Encoding.UTF8.GetBytes)], input => input);
    }

    public static Reader Safetensors()
    {
        byte[] file = TinyFile("model.safetensors");
        return new Reader("safetensors", [file, Header("{}"), Header("""{"__metadata__":null}"""), [0xff, 0xff, 0xff, 5, 0, 0, 0, 0, .. new byte[64]]], (folder, input) => ReadSafetensors(folder.Write("f.safetensors", input)));
    }

    public static Reader SafetensorsHeader() => new(
        "safetensors-header",
        [
            Encoding.UTF8.GetBytes("""{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,4],"data_offsets":[0,32]},"b":{"dtype":"BF16","shape":[16],"data_offsets":[32,64]}}"""),
            Encoding.UTF8.GetBytes("""{"a":{"dtype":"F64","shape":[],"data_offsets":[0,8]},"b":{"dtype":"I64","shape":[7,1],"data_offsets":[8,64]},"c":{"dtype":"F16","shape":[0,9],"data_offsets":[64,64]}}"""),
        ],
        (folder, input) => ReadSafetensors(folder.Write("f.safetensors", [.. Header(input), .. new byte[64]])))
    {
        IsJson = true,
    };

    public static Reader ModelHeader() => OfHeader("model-header", folder => SyntheticCheckpoint.Write(folder.Path, Tiny), "model.safetensors");

    public static Reader ConvertedHeader()
    {
        return OfHeader("converted-header", WriteConverted, null);
    }

    public static Reader Index() => InModel("index", folder =>
    {
        foreach (string file in Directory.GetFiles(folder.Path)) File.Delete(file);
        folder.CopyGolden("b_bf16_sharded");
    }, "model.safetensors.index.json", () => [File.ReadAllBytes(Repository.Path("tests", "data", "goldens", "b_bf16_sharded", "model.safetensors.index.json"))], input => input);

    public static Reader TorchModel()
    {
        byte[] file = [];
        return InModel("torch-model", folder =>
        {
            TorchCopy.Replace(folder.Path);
            file = File.ReadAllBytes(folder["pytorch_model.bin"]);
        }, "pytorch_model.bin", () => [file, PickleOf(file)], input => input.AsSpan().StartsWith("PK"u8) ? input : file);
    }

    public static Reader TorchIndex()
    {
        byte[] index = [];
        return InModel("torch-index", folder =>
        {
            foreach (string file in Directory.GetFiles(folder.Path)) File.Delete(file);
            folder.CopyGolden("b_bf16_sharded");
            TorchCopy.Replace(folder.Path);
            index = File.ReadAllBytes(folder["pytorch_model.bin.index.json"]);
        }, "pytorch_model.bin.index.json", () => [index], input => input);
    }

    public static Reader Fp8Config()
    {
        byte[] blocks = [], rows = [];
        return InModel("fp8-config", folder =>
        {
            Fp8Copy.Replace(folder.Path, "channel");
            rows = File.ReadAllBytes(folder["config.json"]);
            foreach (string file in Directory.GetFiles(folder.Path)) File.Delete(file);
            SyntheticCheckpoint.Write(folder.Path, Tiny);
            Fp8Copy.Replace(folder.Path, "block");
            blocks = File.ReadAllBytes(folder["config.json"]);
        }, "config.json", () => [blocks, rows], input => input);
    }

    public static Reader Fp8Header() => OfHeader("fp8-header", folder =>
    {
        SyntheticCheckpoint.Write(folder.Path, Tiny);
        Fp8Copy.Replace(folder.Path, "block");
    }, "model.safetensors");

    public static Reader Torch() => new(
        "torch",
        [TinyFile("regression_layer.pt"), Zip(CompressionLevel.Optimal, PickleOf(TinyFile("regression_layer.pt"))), Zip(CompressionLevel.NoCompression, PickleOf(TinyFile("gating_layer.pt")))],
        (folder, input) => ReadTorch(folder.Write("f.pt", input)));

    public static Reader Pickle() => new(
        "pickle",
        [PickleOf(TinyFile("regression_layer.pt")), [0x80, 2, .. "]q\0h\0a."u8], [0x80, 2, .. Enumerable.Repeat((byte)'(', 10_000)], [0x80, 2, .. Enumerable.Repeat((byte)']', 10_000), (byte)'.']],
        (folder, input) => ReadTorch(folder.Write("f.pt", Zip(CompressionLevel.NoCompression, input))))
    {
        Words = [.. new[] { "ctorch\nFloatStorage\n", "ctorch._utils\n_rebuild_tensor_v2\n", "ccollections\nOrderedDict\n", "cos\nsystem\n", "(lp0\n", "tR", "Q", "}", "s.", "u.", "\u0085R" }.Select(Encoding.Latin1.GetBytes)],
    };

    public static Reader TokenizerFile() => new(
        "tokenizer", [SmallTokenizer(), .. SmallPipelines(), Encoding.UTF8.GetBytes(new string('[', 100_000))],
        (folder, input) =>
        {
            Tokenizer tokenizer = Tokenizer.Load(folder.Write("tokenizer.json", input));
            foreach (string text in Texts) tokenizer.Decode(tokenizer.Encode(text));
        })
    {
        IsJson = true,
        Words = [.. new[] { "(?:", "(?=", "(?i:", "[^", "\\p{L}", "\\s", "++", "{2,}", "*", "|", "$" }.Select(Encoding.UTF8.GetBytes)],
    };

    public static Reader SentencePiece() => new(
        "sentencepiece",
        [
            SentencePieceModel.Write(SmallPieces().Select(piece => (piece, 0f, 1))),
            SentencePieceModel.Write(SmallPieces().Select((piece, i) => (piece, -i / 2f, i switch { 0 => 2, < 3 => 3, < 259 => 6, _ => 1 }))),
            SentencePieceModel.Write(SmallPieces().Select((piece, i) => (piece, 1f, i % 6)), hasFallback: false, addsPrefix: false),
            SentencePieceModel.Write(Enumerable.Range(1, 256).Select(n => (new string('a', n), (float)n, 1)).Append(("?", 0f, 2)), hasFallback: false),
        ],
        (folder, input) =>
        {
            Tokenizer tokenizer = Tokenizer.LoadSentencePiece(folder.Write("tokenizer.model", input));
            foreach (string text in Texts) tokenizer.Decode(tokenizer.Encode(text));
        })
    {
        Bombs = 1,
    };

    private static IEnumerable<string> SmallPieces() =>
    [
        "<unk>", "<s>", "</s>", .. Enumerable.Range(0, 256).Select(b => $"<0x{b:X2}>"), "ab", "▁a", "▁ab", "▁", "a", "b", "c", "▁▁", "é", "😀", "aa", "aaaa",
    ];

    /// <summary>Every kind of step, and expressions.</summary>
    private static IEnumerable<byte[]> SmallPipelines() => ((string[])
    [
        """{"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Prepend","prepend":"a"},{"type":"Replace","pattern":{"Regex":"\\s{2,}|(?i:l)"},"content":" "}]},"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?:a|a?)+?|[^\\r\\n\\p{L}]?\\p{L}+|\\s+(?!\\S)"},"behavior":"Isolated","invert":false},{"type":"Digits","individual_digits":true},{"type":"Punctuation","behavior":"MergedWithNext"}]},"added_tokens":[{"id":9,"content":"ab","lstrip":true,"rstrip":true,"normalized":true,"single_word":true}],"model":{"type":"BPE","unk_token":"a","fuse_unk":true,"ignore_merges":true,"vocab":{"a":0,"b":1,"ab":2," ":3},"merges":["a b"]}}""",
        """{"normalizer":{"type":"NFD"},"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"a"}},{"Sequence":{"id":"A"}}]},"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":1}]},"added_tokens":[],"model":{"type":"BPE","unk_token":"a","vocab":{"a":0,"▁":1},"merges":[]}}""",
    ]).Select(Encoding.UTF8.GetBytes);

    public static Reader ChatTemplateFile() => new(
        "chat-template",
        [File.ReadAllBytes(Path.Combine(Mini, "tokenizer_config.json")), Encoding.UTF8.GetBytes("""{"chat_template":[{"name":"default","template":"{{ bos_token }}{% for m in messages %}{{ '\n' + m['content'] | trim }}{% endfor %}"}],"bos_token":{"content":"<bos>"}}"""), Encoding.UTF8.GetBytes($"{{\"chat_template\":\"{string.Concat(Enumerable.Repeat("{{ '", 20_000))}\"}}")],
        (folder, input) =>
        {
            ChatTemplate.Detect(folder.Write("tokenizer_config.json", input));
            JinjaTemplate.Canonical(Encoding.UTF8.GetString(input));
        })
    {
        IsJson = true, Words = [.. new[] { "{{", "}}", "{%", "%}", "{#", "#}", "-", "'", "\\\"" }.Select(Encoding.UTF8.GetBytes)],
    };

    public static Reader Manifest()
    {
        using TempFolder folder = new();
        WriteConverted(folder);
        return new Reader("manifest", [File.ReadAllBytes(folder["ldlvk-convert.json"])], (to, input) => ConversionManifest.Read(to.Write("m.json", input)))
        {
            IsJson = true,
        };
    }

    private static void WriteConverted(TempFolder folder)
    {
        using TempFolder source = new();
        SyntheticCheckpoint.Write(source.Path, Tiny);
        File.WriteAllText(source["tokenizer.json"], "{}");
        Converter.Run(source.Path, folder.Path, WeightFormat.Int8);
    }

    private static byte[] TinyFile(string name)
    {
        using TempFolder folder = new();
        SyntheticCheckpoint.Write(folder.Path, Tiny);
        return File.ReadAllBytes(folder[name]);
    }

    private static Reader OfHeader(string name, Action<TempFolder> write, string? file)
    {
        byte[] header = [], tail = [];
        return InModel(
            name,
            folder =>
            {
                write(folder);
                file ??= Path.GetFileName(Directory.GetFiles(folder.Path, "*.safetensors").Single());
                byte[] all = File.ReadAllBytes(folder[file]);
                int length = (int)BinaryPrimitives.ReadInt64LittleEndian(all);
                (header, tail) = (all[8..(8 + length)], all[(8 + length)..]);
            },
            () => file!, () => [header], input => [.. Header(input), .. tail]);
    }

    private static Reader InModel(string name, Action<TempFolder> prepare, string file, Func<IEnumerable<byte[]>> seeds, Func<byte[], byte[]> content) =>
        InModel(name, prepare, () => file, seeds, content);

    /// <summary>Creates a reader of one file in the folder of a model.</summary>
    private static Reader InModel(string name, Action<TempFolder> prepare, Func<string> file, Func<IEnumerable<byte[]>> seeds, Func<byte[], byte[]> content)
    {
        using (TempFolder first = new())
        {
            SyntheticCheckpoint.Write(first.Path, Tiny);
            if (name == "converted-header") foreach (string path in Directory.GetFiles(first.Path)) File.Delete(path);
            prepare(first);
        }

        bool isReady = false;
        return new Reader(name, seeds(), (folder, input) =>
        {
            if (!isReady)
            {
                if (name != "converted-header") SyntheticCheckpoint.Write(folder.Path, Tiny);
                prepare(folder);
                isReady = true;
            }

            File.WriteAllBytes(folder[file()], content(input));
            ReadModel(folder.Path);
        })
        {
            IsJson = true,
        };
    }

    /// <summary>Opens a model and reads some of each tensor.</summary>
    public static void ReadModel(string folder, string? adapter = null)
    {
        using Checkpoint checkpoint = Checkpoint.Open(folder, adapter);
        float[] some = new float[64];
        foreach ((string name, int[] shape) in BackboneTensors.Of(checkpoint.Config))
        {
            if (BackboneTensors.IsWeight(name, shape))
            {
                IWeightSource weight = checkpoint.Weight(name, checkpoint.Converted?.Weights ?? WeightFormat.Int8);
                byte[] values = new byte[WeightLayout.RowBytes(weight.Format, weight.InputFeatures)];
                weight.ReadRows(weight.OutputFeatures - 1, 1, values, new Half[WeightLayout.ScalesPerRow(weight.Format, weight.InputFeatures)]);
            }
            else
            {
                ReadEnds(checkpoint.Tensor(name, shape), some);
            }
        }

        foreach (var layer in checkpoint.Head.Layers) ReadEnds(layer.Weight, some);
    }

    private static void ReadSafetensors(string path)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        float[] some = new float[64];
        foreach (string name in file.Names)
        {
            try
            {
                CheckpointTensor tensor = file.Tensor(name);
                _ = tensor.Rows + tensor.Columns;
                ReadEnds(tensor, some);
            }
            catch (CheckpointException)
            {
                // Tensors of other types are an error when they are asked for.
            }
        }
    }

    private static void ReadTorch(string path)
    {
        using TorchFile file = TorchFile.Open(path);
        float[] some = new float[64];
        foreach (CheckpointTensor tensor in file.Tensors.Values) ReadEnds(tensor, some);
    }

    private static void ReadEnds(CheckpointTensor tensor, float[] some)
    {
        int count = (int)Math.Min(some.Length, tensor.Count);
        if (count == 0) return;
        tensor.Read(0, some.AsSpan(0, count));
        tensor.Read(tensor.Count - count, some.AsSpan(0, count));
    }

    private static byte[] Header(string json) => Header(Encoding.UTF8.GetBytes(json));

    private static byte[] Header(byte[] json)
    {
        byte[] length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, json.Length);
        return [.. length, .. json];
    }

    private static byte[] PickleOf(byte[] torch)
    {
        using ZipArchive zip = new(new MemoryStream(torch));
        using MemoryStream pickle = new();
        using Stream entry = zip.Entries.Single(e => e.Name == "data.pkl").Open();
        entry.CopyTo(pickle);
        return pickle.ToArray();
    }

    /// <summary>Writes a file as torch.save does, with this pickle and the storages of the tiny model's head.</summary>
    private static byte[] Zip(CompressionLevel level, byte[] pickle)
    {
        using MemoryStream file = new();
        using (ZipArchive zip = new(file, ZipArchiveMode.Create, leaveOpen: true))
        {
            Add("archive/data.pkl", pickle);
            Add("archive/byteorder", "little"u8.ToArray());
            int[] sizes = [16 * 32, 16, 16 * 16, 16, 220 * 16, 220];
            for (int i = 0; i < sizes.Length; i++) Add($"archive/data/{i}", new byte[4 * sizes[i]]);

            void Add(string name, byte[] bytes)
            {
                using Stream entry = zip.CreateEntry(name, level).Open();
                entry.Write(bytes);
            }
        }

        return file.ToArray();
    }

    /// <summary>The tokenizer of the small model with the first part of its vocabulary.</summary>
    private static byte[] SmallTokenizer()
    {
        var root = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllBytes(Path.Combine(Mini, "tokenizer.json")))!;
        var merges = root["model"]!["merges"]!.AsArray();
        while (merges.Count > 40) merges.RemoveAt(merges.Count - 1);
        return Encoding.UTF8.GetBytes(root.ToJsonString());
    }
}
