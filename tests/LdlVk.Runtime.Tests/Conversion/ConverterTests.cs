using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Conversion;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Model.Heads;
using LdlVk.Runtime.Tests.Checkpoints;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Conversion;

/// <summary>What a converted folder holds, read back through <see cref="Checkpoint"/> and, as another program would, from the bytes.</summary>
public sealed class ConverterTests : IDisposable
{
    private readonly TempFolder _folders = new();

    public void Dispose() => _folders.Dispose();

    public static TheoryData<string, WeightFormat> CasesAndFormats
    {
        get
        {
            TheoryData<string, WeightFormat> data = [];
            foreach (string name in Goldens.Cases.Append("ldl-mini"))
                foreach (WeightFormat format in new[] { WeightFormat.Fp16, WeightFormat.Int8, WeightFormat.Int4 }) data.Add(name, format);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(CasesAndFormats))]
    public void It_loads_to_the_bits_of_its_original(string name, WeightFormat format)
    {
        string folder = Convert(name, format);
        using Checkpoint original = Checkpoint.Open(FolderOf(name)), converted = Checkpoint.Open(folder);
        Assert.Null(original.Converted);
        Assert.Equal((format, original.SourceType), (converted.Converted!.Weights, converted.SourceType));
        Assert.Equal(original.Config, converted.Config);
        foreach (string tensor in TensorNames(original))
        {
            if (tensor.EndsWith("proj.weight", StringComparison.Ordinal)) AssertSame(original.Weight(tensor, format), converted.Weight(tensor, format));
            else AssertSame(original.Tensor(tensor), converted.Tensor(tensor));
        }
        if (original.Head is LdlHead ldl)
            Assert.Equal((ldl.Objectives, ldl.Attributes, ldl.GateTemperature), converted.Head is LdlHead same ? (same.Objectives, same.Attributes, same.GateTemperature) : default);
        else Assert.IsType<ScoreHead>(converted.Head);
        HeadLayer[] heads = [.. original.Head.Layers], convertedHeads = [.. converted.Head.Layers];
        Assert.Equal(heads.Select(layer => layer.Name), convertedHeads.Select(layer => layer.Name));
        foreach ((HeadLayer want, HeadLayer got) in heads.Zip(convertedHeads))
        {
            Assert.Equal(ElementType.Fp32, got.Weight.ElementType);
            AssertSame(want.Weight, got.Weight);
            Assert.Equal(want.Bias is null, got.Bias is null);
            if (want.Bias is not null) AssertSame(want.Bias, got.Bias!);
        }

        // The pickles stay behind, and what belongs to the model comes along as it is.
        Assert.DoesNotContain(Directory.GetFiles(folder), path => path.EndsWith(".pt", StringComparison.Ordinal));
        foreach (string copied in new[] { "tokenizer.json", "tokenizer_config.json", "labels.json" }.Where(file => File.Exists(Path.Combine(FolderOf(name), file))))
            Assert.Equal(File.ReadAllBytes(Path.Combine(FolderOf(name), copied)), File.ReadAllBytes(Path.Combine(folder, copied)));

        // So that other programs refuse it rather than take stored values for weights, config.json says what they are, and all that it said.
        JsonObject config = Config(folder), before = Config(FolderOf(name));
        Assert.Equal(("ldlvk", format.ToString().ToLowerInvariant()), ((string?)config["quantization_config"]!["quant_method"], (string?)config["quantization_config"]!["weights"]));
        config.Remove("quantization_config");
        Assert.True(JsonNode.DeepEquals(before, config));

        static JsonObject Config(string folder) => JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "config.json")))!.AsObject();
    }

    /// <summary>As another program reads it that knows safetensors and the formula in the metadata, and nothing of LdlVk.</summary>
    [Theory]
    [InlineData(WeightFormat.Fp16)]
    [InlineData(WeightFormat.Int8)]
    [InlineData(WeightFormat.Int4)]
    public void Its_formula_gives_the_weights(WeightFormat format)
    {
        string folder = Convert("ldl-mini", format);
        using Checkpoint original = Checkpoint.Open(FolderOf("ldl-mini"));
        foreach (string file in Directory.GetFiles(folder, "*.safetensors"))
        {
            RawFile raw = new(file);
            Assert.Equal("pt", raw.Metadata.GetProperty("format").GetString());
            foreach (string name in raw.Names.Where(name => name.EndsWith("proj.weight", StringComparison.Ordinal)))
            {
                CheckpointTensor tensor = original.Tensor(name["model.".Length..]);
                float[] weights = new float[tensor.Count];
                tensor.Read(0, weights);
                int columns = tensor.Columns;
                float factor = MemoryMarshal.Cast<byte, float>(raw.Bytes(name + ".factor"))[0];
                ReadOnlySpan<Half> scales = format == WeightFormat.Fp16 ? [] : MemoryMarshal.Cast<byte, Half>(raw.Bytes(name + ".scales"));
                ReadOnlySpan<byte> stored = raw.Bytes(name);
                double error = 0, square = 0;
                for (int i = 0; i < weights.Length; i++)
                {
                    int row = i / columns, column = i % columns;
                    double value = format switch
                    {
                        WeightFormat.Fp16 => factor * (double)BinaryPrimitives.ReadHalfLittleEndian(stored[(2 * i)..]),
                        WeightFormat.Int8 => factor * (double)scales[i / 32] * (sbyte)stored[i],
                        _ => factor * (double)scales[i / 32] * Int4(stored.Slice(row * columns / 2, columns / 2), column),
                    };
                    error += (value - weights[i]) * (value - weights[i]);
                    square += weights[i] * weights[i];
                }
                // fp16 holds all bits of bf16; int8 and int4 err as Int4Groups says (0.5 % and 7.5 % of Gaussian weights).
                double bound = format switch { WeightFormat.Fp16 => 1e-6, WeightFormat.Int8 => 0.007, _ => 0.09 };
                Assert.True(Math.Sqrt(error / square) <= bound, $"{name}: {Math.Sqrt(error / square):P3}");
            }
        }

        static double Int4(ReadOnlySpan<byte> row, int column)
        {
            uint word = BinaryPrimitives.ReadUInt32LittleEndian(row[(column / 8 * 4)..]);
            int element = column % 8, q = (int)((word >> ((element / 2 * 4) + (element % 2 * 16))) & 15) - 8;
            return q * (8 + Math.Abs(q));
        }
    }

    [Fact]
    public void Tensors_are_aligned_and_the_index_names_them_all()
    {
        // Heads of 22 and 220 outputs have biases of odd sizes, and every factor has four bytes.
        string folder = Convert("ldl-mini", WeightFormat.Int8, 400_000);
        string[] shards = [.. Directory.GetFiles(folder, "*.safetensors").Order(StringComparer.Ordinal)];
        Assert.True(shards.Length > 3);
        Assert.EndsWith($"model-00001-of-{shards.Length:D5}.safetensors", shards[0], StringComparison.Ordinal);
        Dictionary<string, string> places = [];
        foreach (string shard in shards)
        {
            RawFile raw = new(shard);
            Assert.Equal(0, raw.DataStart % 4096);
            foreach (string name in raw.Names)
            {
                long size = raw.Bytes(name).Length, alignment = Math.Min(64, size & -size);
                Assert.True(raw.Offset(name) % alignment == 0, $"{name} at {raw.Offset(name)}");
                places.Add(name, Path.GetFileName(shard));
            }
        }
        using JsonDocument index = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "model.safetensors.index.json")));
        Assert.Equal(places.OrderBy(p => p.Key, StringComparer.Ordinal), index.RootElement.GetProperty("weight_map").EnumerateObject()
            .Select(p => KeyValuePair.Create(p.Name, p.Value.GetString()!)).OrderBy(p => p.Key, StringComparer.Ordinal));
    }

    [Fact]
    public void Rows_that_end_within_a_group_are_padded()
    {
        // No golden has any: hidden 40 and FFN 52, of which 40 = 32 + 8 and 52 = 32 + 20.
        SyntheticCheckpoint.Write(_folders["odd"], new SyntheticShape(40, 2, 2, 1, 6, 52, 64, 8));
        foreach (WeightFormat format in new[] { WeightFormat.Fp16, WeightFormat.Int8, WeightFormat.Int4 })
        {
            Converter.Run(_folders["odd"], _folders[$"odd-{format}"], format);
            using Checkpoint original = Checkpoint.Open(_folders["odd"]), converted = Checkpoint.Open(_folders[$"odd-{format}"]);
            foreach (string tensor in TensorNames(original).Where(name => name.EndsWith("proj.weight", StringComparison.Ordinal)))
                AssertSame(original.Weight(tensor, format), converted.Weight(tensor, format));
        }
    }

    [Fact]
    public void A_converted_folder_is_copied_and_nothing_else()
    {
        string int8 = Convert("b_bf16_sharded", WeightFormat.Int8), copy = _folders["copy"];
        Converter.Run(int8, copy, WeightFormat.Int8);
        using (Checkpoint one = Checkpoint.Open(int8), two = Checkpoint.Open(copy))
            foreach (string tensor in TensorNames(one).Where(name => name.EndsWith("proj.weight", StringComparison.Ordinal)))
                AssertSame(one.Weight(tensor, WeightFormat.Int8), two.Weight(tensor, WeightFormat.Int8));
        Refuses(int8, _folders["twice"], WeightFormat.Int4, "was converted to int8", "second rounding error", "original");
        Assert.False(Directory.Exists(_folders["twice"]));
    }

    [Fact]
    public void Loading_in_another_format_says_what_would_work()
    {
        using Checkpoint checkpoint = Checkpoint.Open(Convert("a_f32_sliding", WeightFormat.Int4));
        string message = Assert.Throws<UsageException>(() => checkpoint.Weight("layers.0.mlp.up_proj.weight", WeightFormat.Int8)).Message;
        foreach (string part in new[] { "int4", "Weights = int4 or auto", "Weights = int8" }) Assert.Contains(part, message);
        // Its bytes are no numbers that could serve as the tensor itself.
        Assert.Contains("int4 weights only", Assert.Throws<CheckpointException>(() => checkpoint.Tensor("layers.0.mlp.up_proj.weight")).Message);
    }

    [Fact]
    public void Destinations_that_hold_something_else_are_refused()
    {
        string source = FolderOf("b_bf16_sharded");
        Refuses(source, source, WeightFormat.Int8, "into itself");
        Refuses(source, _folders.Write("file", "x"), WeightFormat.Int8, "is a file");
        Refuses(source, _folders["fp32"], WeightFormat.Fp32, "fp16, int8 or int4");
        Directory.CreateDirectory(_folders["full"]);
        _folders.Write("full/holiday.jpg", "x");
        Refuses(source, _folders["full"], WeightFormat.Int8, "holiday.jpg", "not empty");
        // Another model's folder has files of the same names.
        Directory.CreateDirectory(_folders["model"]);
        File.Copy(Path.Combine(source, "config.json"), _folders["model/config.json"]);
        Refuses(source, _folders["model"], WeightFormat.Int8, "config.json", "not empty");
        Assert.Equal(["config.json"], Directory.GetFiles(_folders["model"]).Select(path => Path.GetFileName(path)));

        string done = Converter.Run(source, _folders["done"], WeightFormat.Int8).Folder;
        Refuses(source, done, WeightFormat.Int4, "to int8 weights, not int4");
        Refuses(FolderOf("e_bf16_batch"), done, WeightFormat.Int8, "another model");
        File.WriteAllText(Path.Combine(done, "holiday.jpg"), "x");
        Refuses(source, done, WeightFormat.Int8, "holiday.jpg");
        File.Delete(Path.Combine(done, "holiday.jpg"));
        File.WriteAllText(Path.Combine(done, "ldlvk-convert.json"), "{");
        Refuses(source, done, WeightFormat.Int8, "ldlvk-convert.json is damaged");
    }

    [Fact]
    public void A_link_to_the_source_is_the_source()
    {
        string source = Directory.CreateDirectory(_folders["src"]).FullName;
        foreach (string file in Directory.GetFiles(FolderOf("a_f32_sliding"))) File.Copy(file, Path.Combine(source, Path.GetFileName(file)));
        try
        {
            Directory.CreateSymbolicLink(_folders["link"], source);
        }
        catch (IOException)
        {
            Assert.Skip("this account may not make symbolic links");
        }
        Refuses(source, _folders["link"], WeightFormat.Int8, "into itself");
    }

    [Fact]
    public void A_source_that_changed_in_between_is_noticed()
    {
        string source = Directory.CreateDirectory(_folders["src"]).FullName;
        foreach (string file in Directory.GetFiles(FolderOf("a_f32_sliding"))) File.Copy(file, Path.Combine(source, Path.GetFileName(file)));
        string folder = _folders["dst"];
        Assert.Throws<FailingFolder.KilledException>(() => Converter.Run(source, new FailingFolder(folder, Ending.Killed, 400_000), WeightFormat.Fp16, 100_000));
        // Other weights of the same shapes: the same size and the same header, and a later time.
        File.SetLastWriteTimeUtc(Path.Combine(source, "model.safetensors"), DateTime.UtcNow.AddSeconds(5));
        Assert.Contains("before its files were changed", Assert.Throws<UsageException>(() => Converter.Run(source, new OutputFolder(folder), WeightFormat.Fp16, 100_000)).Message);
    }

    [Fact]
    public void A_damaged_source_is_an_error_and_leaves_no_model()
    {
        string source = Directory.CreateDirectory(_folders["src"]).FullName;
        foreach (string file in Directory.GetFiles(FolderOf("a_f32_sliding"))) File.Copy(file, Path.Combine(source, Path.GetFileName(file)));
        string weights = Path.Combine(source, "model.safetensors");
        byte[] bytes = File.ReadAllBytes(weights);
        RawFile raw = new(weights);
        string name = raw.Names.Single(n => n.EndsWith("layers.1.mlp.down_proj.weight", StringComparison.Ordinal));
        BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan((int)(raw.DataStart + raw.Offset(name)) + 40), float.NaN);
        File.WriteAllBytes(weights, bytes);
        string message = Assert.Throws<CheckpointException>(() => Converter.Run(source, _folders["dst"], WeightFormat.Int8)).Message;
        Assert.Contains("layers.1.mlp.down_proj.weight is NaN at row 0, column 10", message);
        Assert.Contains("unfinished", Assert.Throws<CheckpointException>(() => Checkpoint.Open(_folders["dst"])).Message);
    }

    private string Convert(string name, WeightFormat format, long shardBytes = 250_000)
    {
        string folder = _folders[$"{name}-{format}"];
        Converter.Run(FolderOf(name), new OutputFolder(folder), format, shardBytes);
        return folder;
    }

    private static string FolderOf(string name) => name == "ldl-mini" ? Repository.Path("models", name) : Repository.Path("tests", "data", "goldens", name);

    private static IEnumerable<string> TensorNames(Checkpoint checkpoint) => BackboneTensors.Of(checkpoint.Config).Select(tensor => tensor.Name);

    private static void AssertSame(IWeightSource want, IWeightSource got)
    {
        Assert.Equal((want.Format, want.OutputFeatures, want.InputFeatures, want.Scale), (got.Format, got.OutputFeatures, got.InputFeatures, got.Scale));
        (byte[] values, Half[] scales) = TestMatrix.ReadAll(want);
        (byte[] gotValues, Half[] gotScales) = TestMatrix.ReadAll(got);
        Assert.True(values.AsSpan().SequenceEqual(gotValues), $"{want.Name}: values differ");
        Assert.True(scales.AsSpan().SequenceEqual(gotScales), $"{want.Name}: scales differ");
    }

    private static void AssertSame(CheckpointTensor want, CheckpointTensor got)
    {
        Assert.Equal(want.Shape, got.Shape);
        float[] values = new float[want.Count], gotValues = new float[want.Count];
        want.Read(0, values);
        got.Read(0, gotValues);
        Assert.True(MemoryMarshal.AsBytes<float>(values).SequenceEqual(MemoryMarshal.AsBytes<float>(gotValues)), $"{want.Name} differs");
    }

    private static void Refuses(string source, string destination, WeightFormat weights, params string[] says)
    {
        string message = Assert.Throws<UsageException>(() => Converter.Run(source, destination, weights)).Message;
        foreach (string part in says) Assert.Contains(part, message);
    }
}

/// <summary>A safetensors file, read by its specification alone.</summary>
internal sealed class RawFile
{
    private readonly byte[] _bytes;
    private readonly JsonElement _header;

    public RawFile(string path)
    {
        _bytes = File.ReadAllBytes(path);
        DataStart = 8 + BinaryPrimitives.ReadInt64LittleEndian(_bytes);
        using JsonDocument document = JsonDocument.Parse(_bytes.AsMemory(8, (int)DataStart - 8));
        _header = document.RootElement.Clone();
    }

    public long DataStart { get; }

    public JsonElement Metadata => _header.GetProperty("__metadata__");

    public IEnumerable<string> Names => _header.EnumerateObject().Select(p => p.Name).Where(name => name != "__metadata__");

    public long Offset(string name) => _header.GetProperty(name).GetProperty("data_offsets")[0].GetInt64();

    public ReadOnlySpan<byte> Bytes(string name) => _bytes.AsSpan((int)(DataStart + Offset(name)), (int)(_header.GetProperty(name).GetProperty("data_offsets")[1].GetInt64() - Offset(name)));
}
