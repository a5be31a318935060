using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using LdlVk.Runtime.Conversion;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Conversion;

/// <summary>Converted folders whose headers lie: each is an error that names the file and what is wrong.</summary>
public sealed class HostileFoldersTests : IDisposable
{
    private const string Up = "model.layers.0.mlp.up_proj.weight";
    private readonly TempFolder _folder = new();
    private readonly byte[] _sound;

    public HostileFoldersTests()
    {
        Converter.Run(Repository.Path("tests", "data", "goldens", "b_bf16_sharded"), _folder["m"], WeightFormat.Int8);
        _sound = File.ReadAllBytes(Shard);
    }

    private string Shard => _folder["m/model-00001-of-00001.safetensors"];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("ldlvk.version", "2", "version \"2\"", "reads version 1")]
    [InlineData("ldlvk.version", null, "lack ldlvk.version")]
    [InlineData("ldlvk.weights", "int3", "ldlvk.weights \"int3\"", "fp16, int8, int4")]
    [InlineData("ldlvk.weights", "fp32", "ldlvk.weights \"fp32\"")]
    [InlineData("ldlvk.weights", "int4", "is I8 [", "but U8 [")]
    [InlineData("ldlvk.weights", "fp16", "is I8 [", "but F16 [")]
    [InlineData("ldlvk.group_size", "64", "ldlvk.group_size \"64\"", "groups of 32")]
    [InlineData("ldlvk.source_type", "fp16", "converted from fp16", "embedding table is bf16")]
    [InlineData("ldlvk.source_type", "e4m3", "ldlvk.source_type \"e4m3\"")]
    [InlineData("ldlvk.conversion", null, "lack ldlvk.conversion")]
    public void Metadata_that_lie(string key, string? text, params string[] says) => Says(header =>
    {
        JsonObject metadata = header["__metadata__"]!.AsObject();
        if (text is null) metadata.Remove(key);
        else metadata[key] = text;
    }, says);

    [Fact]
    public void Without_its_metadata_it_is_no_checkpoint() =>
        Says(header => header["__metadata__"] = new JsonObject(), "is that of a converted folder");

    [Fact]
    public void Tensors_that_are_others()
    {
        Says(header => Rename(header, Up + ".scales", "x"), $"has no tensor layers.0.mlp.up_proj.weight.scales");
        Says(header => Rename(header, Up + ".factor", "x"), $"has no tensor layers.0.mlp.up_proj.weight.factor");
        Says(header => header[Up]!["dtype"] = "U8", Up, "is U8 [", "but I8 [");
        Says(header => header[Up]!["shape"]!.AsArray().Insert(0, 1), Up, "[1, ");
        // The rows of another number of groups, in as many bytes.
        Says(header => (header[Up + ".scales"]!["shape"]![0], header[Up + ".scales"]!["shape"]![1]) = (96, 6), Up + ".scales", "is F16 [96, 6]");
        // A shape of which the bytes are not enough; integers are not checked before they are asked for.
        Says(header => header[Up]!["shape"]![0] = 1 << 30, Up, $"[{1 << 30}, ");
        Says(header =>
        {
            string bias = header.Select(p => p.Key).First(k => k.StartsWith("regression_layer.", StringComparison.Ordinal) && k.EndsWith(".bias", StringComparison.Ordinal));
            Rename(header, bias, bias[..^"bias".Length] + "x");
        }, "regression_layer.");
        Says(header =>
        {
            foreach (string name in header.Select(p => p.Key).Where(k => k.StartsWith("gating_layer.", StringComparison.Ordinal)).ToArray()) Rename(header, name, "x" + name);
        }, "gating_layer.", "holds no tensors");
    }

    [Theory]
    [InlineData(0f)]
    [InlineData(-2f)]
    [InlineData(3f)]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.Epsilon)]
    public void A_factor_that_is_no_power_of_two(float factor)
    {
        RawFile raw = new(Shard);
        byte[] bytes = (byte[])_sound.Clone();
        BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan((int)(raw.DataStart + raw.Offset(Up + ".factor"))), factor);
        File.WriteAllBytes(Shard, bytes);
        Says("up_proj.weight.factor", "not a power of two", Shard);
    }

    [Fact]
    public void A_config_that_is_not_the_files()
    {
        string folder = Directory.CreateDirectory(_folder["original"]).FullName, source = Repository.Path("tests", "data", "goldens", "b_bf16_sharded");
        foreach (string file in Directory.GetFiles(source)) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        File.Copy(_folder["m/config.json"], Path.Combine(folder, "config.json"), overwrite: true);
        Assert.Contains("is that of a converted folder, but the safetensors files lack", Assert.Throws<CheckpointException>(() => Checkpoint.Open(folder)).Message);
    }

    [Fact]
    public void Shards_of_two_conversions()
    {
        string source = Repository.Path("tests", "data", "goldens", "b_bf16_sharded"), one = _folder["one"], two = _folder["two"];
        Converter.Run(source, new OutputFolder(one), WeightFormat.Int8, 200_000);
        // The same shapes and the same formats from a source of another date.
        string copy = Directory.CreateDirectory(_folder["copy"]).FullName;
        foreach (string file in Directory.GetFiles(source)) File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        File.SetLastWriteTimeUtc(Path.Combine(copy, "config.json"), new DateTime(2001, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        Converter.Run(copy, new OutputFolder(two), WeightFormat.Int8, 200_000);
        string shard = Path.GetFileName(Directory.GetFiles(one, "model-00002-*").Single());
        File.Copy(Path.Combine(two, shard), Path.Combine(one, shard), overwrite: true);
        string message = Assert.Throws<CheckpointException>(() => Checkpoint.Open(one)).Message;
        Assert.Contains("different conversions", message);
        Assert.Contains(shard, message);
    }

    private static void Rename(JsonObject header, string from, string to)
    {
        JsonNode entry = header[from] ?? throw new ArgumentException($"no {from}");
        header.Remove(from);
        header.Add(to, entry.DeepClone());
    }

    private void Says(Action<JsonObject> edit, params string[] says)
    {
        int length = (int)BinaryPrimitives.ReadInt64LittleEndian(_sound);
        JsonObject header = JsonNode.Parse(_sound.AsSpan(8, length))!.AsObject();
        edit(header);
        File.WriteAllBytes(Shard, Checkpoints.Safetensors.Build(header.ToJsonString(), _sound[(8 + length)..]));
        // The index follows, so that it is the file itself that is judged.
        JsonObject map = [];
        foreach (string name in header.Select(p => p.Key).Where(name => name != "__metadata__")) map[name] = Path.GetFileName(Shard);
        File.WriteAllText(_folder["m/model.safetensors.index.json"], new JsonObject { ["weight_map"] = map }.ToJsonString(), Encoding.UTF8);
        Says(says);
    }

    private void Says(params string[] says)
    {
        string message = Assert.Throws<CheckpointException>(() => Checkpoint.Open(_folder["m"]).Dispose()).Message;
        foreach (string part in says) Assert.Contains(part, message);
    }
}
