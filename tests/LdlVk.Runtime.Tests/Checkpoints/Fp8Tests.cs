using System.Text.Json.Nodes;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Conversion;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Checkpoints;

/// <summary>Checkpoints whose matrices are fp8 (E4M3) with scales. The oracle is q times its scale, from the definition.</summary>
public sealed class Fp8Tests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("block")]
    [InlineData("channel")]
    [InlineData("tensor")]
    public void An_element_is_its_byte_times_its_scale(string kind)
    {
        _folder.CopyGolden("i_inform_bf16");
        Dictionary<string, double[]> meant = Fp8Copy.Replace(_folder.Path, kind);
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        Assert.Equal(7 * checkpoint.Config.Layers, meant.Count);
        foreach ((string name, double[] expected) in meant)
        {
            CheckpointTensor tensor = checkpoint.Tensor(name);
            Assert.Equal(ElementType.Fp8E4M3, tensor.ElementType);
            float[] values = tensor.ReadAll();
            for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], values[i], Math.Abs(expected[i]) * 1e-7);
            float[] parts = new float[values.Length];
            for (int at = 0, size = 1; at < parts.Length; at += size, size = Math.Min(size + 29, parts.Length - at)) tensor.Read(at, parts.AsSpan(at, size));
            Assert.Equal(values, parts);
            IWeightSource direct = checkpoint.Weight(name, WeightFormat.Int8), whole = WeightSource.Create(new TestMatrix(tensor.Rows, tensor.Columns, values), WeightFormat.Int8);
            float[] a = new float[values.Length], b = new float[values.Length];
            WeightSource.Dequantize(direct, 0, tensor.Rows, a);
            WeightSource.Dequantize(whole, 0, tensor.Rows, b);
            Assert.Equal(b, a);
        }
    }

    [Fact]
    public void Every_byte_is_what_the_format_says()
    {
        byte[] bytes = [.. Enumerable.Range(0, 256).Select(i => (byte)i)];
        float[] values = new float[256];
        Elements.ToSingle(ElementType.Fp8E4M3, bytes, values);
        foreach (byte bits in bytes)
        {
            if ((bits & 0x7f) == 0x7f) Assert.True(float.IsNaN(values[bits]));
            else Assert.Equal(Fp8Copy.Value(bits), values[bits]);
        }

        Assert.Equal(448, values[0x7e]);
        Assert.Equal(MathF.ScaleB(1, -9), values[1]);
        Assert.True(float.IsNegative(values[0x80]) && values[0x80] == 0);
    }

    [Fact]
    public void It_converts_as_any_other()
    {
        _folder.CopyGolden("i_inform_bf16");
        Fp8Copy.Replace(_folder.Path, "block");
        using TempFolder to = new();
        Converter.Run(_folder.Path, to["m"], WeightFormat.Int8);
        using Checkpoint original = Checkpoint.Open(_folder.Path), converted = Checkpoint.Open(to["m"]);
        const string Name = "layers.0.mlp.down_proj.weight";
        IWeightSource one = original.Weight(Name, WeightFormat.Int8), two = converted.Weight(Name, WeightFormat.Int8);
        float[] a = new float[one.OutputFeatures * one.InputFeatures], b = new float[a.Length];
        WeightSource.Dequantize(one, 0, one.OutputFeatures, a);
        WeightSource.Dequantize(two, 0, one.OutputFeatures, b);
        Assert.Equal(a, b);
    }

    [Theory]
    [InlineData("block", "weight_block_size", "[16]", "is not two sizes")]
    [InlineData("block", "weight_block_size", "[8,16]", "for blocks of [8, 16]")]
    [InlineData("block", "weight_block_size", "null", "[1] or [")]
    [InlineData("block", "fmt", "\"e5m2\"", "fmt is \"e5m2\"")]
    [InlineData("channel", "format", "\"pack-quantized\"", "pack-quantized", "original model")]
    [InlineData("channel", "quant_method", "\"gptq\"", "GPTQ")]
    public void What_does_not_fit_is_named(string kind, string field, string value, params string[] says)
    {
        _folder.CopyGolden("i_inform_bf16");
        Fp8Copy.Replace(_folder.Path, kind);
        JsonNode config = JsonNode.Parse(File.ReadAllText(_folder["config.json"]))!;
        config["quantization_config"]![field] = JsonNode.Parse(value);
        _folder.Write("config.json", config.ToJsonString());
        Says(says);
    }

    [Fact]
    public void Bytes_without_scales_or_without_a_scheme_are_refused()
    {
        _folder.CopyGolden("i_inform_bf16");
        Fp8Copy.Replace(_folder.Path, "block");
        string config = File.ReadAllText(_folder["config.json"]);
        JsonNode without = JsonNode.Parse(config)!;
        without.AsObject().Remove("quantization_config");
        _folder.Write("config.json", without.ToJsonString());
        Says("layers.0.");
        _folder.Write("config.json", config);
        byte[] file = File.ReadAllBytes(_folder["model.safetensors"]);
        int at = file.AsSpan().IndexOf("layers.0.self_attn.q_proj.weight_scale_inv"u8);
        "layers.0.self_attn.q_proj.weight_scale_xyz"u8.CopyTo(file.AsSpan(at));
        _folder.Write("model.safetensors", file);
        Says("layers.0.self_attn.q_proj.weight");
    }

    private void Says(params string[] parts)
    {
        string message = Assert.Throws<CheckpointException>(() => Checkpoint.Open(_folder.Path).Dispose()).Message;
        foreach (string part in parts) Assert.Contains(part, message);
    }
}
