using System.Text.Json.Nodes;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Conversion;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Checkpoints;

/// <summary>Models whose backbone is in <c>pytorch_model.bin</c>, or in shards with an index.</summary>
public sealed class TorchModelTests : IDisposable
{
    private const string Index = "pytorch_model.bin.index.json";
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("a_f32_sliding", false)]
    [InlineData("b_bf16_sharded", false)]
    [InlineData("b_bf16_sharded", true)]
    [InlineData("d_f16_gate_softmax", true)]
    [InlineData("s_skywork_bf16", true)]
    public void A_model_in_files_of_PyTorch_is_the_one_in_safetensors(string name, bool strided)
    {
        _folder.CopyGolden(name);
        TorchCopy.Replace(_folder.Path, strided);
        Assert.Empty(Directory.GetFiles(_folder.Path, "*.safetensors"));
        using Checkpoint original = Checkpoint.Open(Repository.Path("tests", "data", "goldens", name)), copy = Checkpoint.Open(_folder.Path);
        AssertEqual(original, copy, WeightFormat.Int8);
        Assert.Equal(original.Head.Parameters, copy.Head.Parameters);
        Assert.Contains(copy.WeightFiles, path => path.EndsWith(".bin", StringComparison.Ordinal));
        copy.Forget();
        copy.CheckUnchanged();
    }

    [Fact]
    public void A_conversion_of_it_is_that_of_the_safetensors()
    {
        _folder.CopyGolden("b_bf16_sharded");
        TorchCopy.Replace(_folder.Path, strided: true);
        using TempFolder one = new(), two = new();
        Converter.Run(Repository.Path("tests", "data", "goldens", "b_bf16_sharded"), one["m"], WeightFormat.Int4);
        Converter.Run(_folder.Path, two["m"], WeightFormat.Int4);
        using Checkpoint original = Checkpoint.Open(one["m"]), copy = Checkpoint.Open(two["m"]);
        AssertEqual(original, copy, WeightFormat.Int4);
    }

    [Fact]
    public void Its_fingerprint_changes_with_a_weight()
    {
        _folder.CopyGolden("a_f32_sliding");
        TorchCopy.Replace(_folder.Path);
        string before = Fingerprint();
        byte[] bytes = File.ReadAllBytes(_folder["pytorch_model.bin"]);
        bytes[bytes.Length / 2] ^= 1;
        _folder.Write("pytorch_model.bin", bytes);
        Assert.NotEqual(before, Fingerprint());

        string Fingerprint()
        {
            using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
            return checkpoint.Fingerprint();
        }
    }

    [Fact]
    public void Of_both_kinds_safetensors_are_read_and_the_other_is_named()
    {
        _folder.CopyGolden("a_f32_sliding");
        _folder.Write("pytorch_model.bin", "anything");
        using (Checkpoint checkpoint = Checkpoint.Open(_folder.Path))
        {
            Assert.Equal("pytorch_model.bin", checkpoint.IgnoredWeights);
            Assert.DoesNotContain(checkpoint.WeightFiles, path => path.EndsWith(".bin", StringComparison.Ordinal));
        }

        File.Move(_folder["model.safetensors"], _folder["model-00001-of-00001.safetensors"]);
        _folder.Write("model.safetensors.index.json", """{"weight_map":{"model.norm.weight":"model-00001-of-00002.safetensors"}}""");
        Says("model-00001-of-00002.safetensors is missing", "remove model.safetensors.index.json", "pytorch_model.bin, which lies beside it");
    }

    [Fact]
    public void A_counter_of_integers_is_no_error_until_it_is_read()
    {
        string path = _folder.Write("f.bin", Pickle.Zip(
            Pickle.StateDict(p => p
                .Text("w").Tensor("FloatStorage", "0", 2, 0, [2], [1])
                .Text("num_batches_tracked").Tensor("LongStorage", "1", 1, 0, [], [])
                .Text("mask").Tensor("BoolStorage", "2", 3, 0, [3], [1])),
            ("data/0", Safetensors.Floats(1, 2)), ("data/1", new byte[8]), ("data/2", new byte[3])));
        using TorchFile file = TorchFile.Open(path);
        Assert.Equal([1, 2], file.Tensor("w").ReadAll());
        Assert.True(file.Contains("mask"));
        string message = Assert.Throws<CheckpointException>(() => file.Tensor("num_batches_tracked")).Message;
        Assert.Contains("num_batches_tracked", message);
        Assert.Contains("int64", message);
    }

    [Fact]
    public void The_old_format_says_how_to_save_it_again()
    {
        _folder.CopyGolden("a_f32_sliding");
        File.Delete(_folder["model.safetensors"]);
        _folder.Write("pytorch_model.bin", [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, .. new byte[64]]);
        Says("pytorch_model.bin is not a zip file", "PyTorch 1.6", "torch.save(torch.load(file, weights_only=True), new_file)");
    }

    [Theory]
    [InlineData("../../etc/passwd")]
    [InlineData("../pytorch_model.bin")]
    [InlineData("/etc/pytorch_model.bin")]
    [InlineData("model.safetensors")]
    [InlineData("C:pytorch_model.bin")]
    public void An_index_cannot_name_other_files(string shard)
    {
        Sharded();
        JsonNode index = JsonNode.Parse(File.ReadAllText(_folder[Index]))!;
        index["weight_map"]!["model.norm.weight"] = shard;
        _folder.Write(Index, index.ToJsonString());
        Says(Index, "plain file name ending in .bin");
    }

    [Fact]
    public void What_is_missing_is_named()
    {
        Sharded();
        File.Delete(_folder["pytorch_model-00002-of-00003.bin"]);
        Says("pytorch_model-00002-of-00003.bin is missing", Index);
        File.Delete(_folder[Index]);
        Says("pytorch_model-00001-of-00003.bin is a shard without " + Index);
        foreach (string path in Directory.GetFiles(_folder.Path, "*.bin")) File.Delete(path);
        _folder.Write("training_args.bin", "x");
        Says("training_args.bin", "pytorch_model.bin is the name of a model");
    }

    /// <summary>A file of tensors that are views of one another.</summary>
    [Fact]
    public void Tied_tensors_share_a_storage()
    {
        byte[] pickle = Pickle.StateDict(p => p
            .Text("model.embed_tokens.weight").Tensor("FloatStorage", "0", 6, 0, [3, 2], [2, 1])
            .Text("lm_head.weight").Tensor("FloatStorage", "0", 6, 0, [3, 2], [2, 1]));
        using TorchFile file = TorchFile.Open(_folder.Write("f.bin", Pickle.Zip(pickle, ("data/0", Safetensors.Floats(1, 2, 3, 4, 5, 6)))));
        Assert.Equal(file.Tensor("model.embed_tokens.weight").ReadAll(), file.Tensor("lm_head.weight").ReadAll());
    }

    [Fact]
    public void Bytes_of_a_strided_tensor_are_copied_in_its_order()
    {
        byte[] pickle = Pickle.StateDict(p => p.Text("w").Tensor("HalfStorage", "0", 7, 1, [3, 2], [1, 3]));
        using TorchFile file = TorchFile.Open(_folder.Write("f.bin", Pickle.Zip(pickle, ("data/0", [.. Enumerable.Range(0, 14).Select(i => (byte)i)]))));
        byte[] all = new byte[12], middle = new byte[6];
        file.Tensor("w").CopyBytes(0, all);
        file.Tensor("w").CopyBytes(4, middle);
        Assert.Equal([2, 3, 8, 9, 4, 5, 10, 11, 6, 7, 12, 13], all);
        Assert.Equal(all[4..10], middle);
    }

    private void Sharded()
    {
        _folder.CopyGolden("b_bf16_sharded");
        TorchCopy.Replace(_folder.Path);
        using (Checkpoint.Open(_folder.Path)) { }
    }

    private static void AssertEqual(Checkpoint original, Checkpoint copy, WeightFormat format)
    {
        foreach ((string name, int[] shape) in BackboneTensors.Of(original.Config))
        {
            if (!BackboneTensors.IsWeight(name, shape))
            {
                Assert.Equal(original.Tensor(name, shape).ReadAll(), copy.Tensor(name, shape).ReadAll());
                continue;
            }

            Assert.Equal(Rows(original), Rows(copy));

            (float Scale, string Values, string Scales) Rows(Checkpoint from)
            {
                IWeightSource weight = from.Weight(name, format);
                byte[] values = new byte[weight.OutputFeatures * WeightLayout.RowBytes(format, weight.InputFeatures)];
                Half[] scales = new Half[weight.OutputFeatures * WeightLayout.ScalesPerRow(format, weight.InputFeatures)];
                weight.ReadRows(0, weight.OutputFeatures, values, scales);
                return (weight.Scale, Convert.ToHexString(values), string.Join(' ', scales));
            }
        }
    }

    private void Says(params string[] parts)
    {
        string message = Assert.Throws<CheckpointException>(() => Checkpoint.Open(_folder.Path).Dispose()).Message;
        foreach (string part in parts) Assert.Contains(part, message);
    }
}
