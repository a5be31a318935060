using System.IO.Compression;
using System.Text;
using CsCheck;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;
using static LdlVk.Runtime.Tests.Checkpoints.Safetensors;

namespace LdlVk.Runtime.Tests.Checkpoints;

/// <summary>
/// Files with random damage: whatever the bytes, opening and reading either works or raises a <see cref="CheckpointException"/>, without
/// allocating much. A hang would be a test that does not end.
/// </summary>
[Trait("Duration", "Long")]
public sealed class HostileFilesTests : IDisposable
{
    private const int Samples = 1000;
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>A few bytes overwritten (with any byte, or with one the format gives meaning to), cut off, or repeated.</summary>
    private static Gen<byte[]> Damaged(byte[] sound, int within, string meaningful)
    {
        Gen<byte> value = Gen.OneOf(Gen.Byte, Gen.OneOfConst(Encoding.Latin1.GetBytes(meaningful)));
        Gen<(int At, byte Value)> flip = Gen.Select(Gen.Int[0, within - 1], value, (at, v) => (at, v));
        return Gen.Select(flip.Array[0, 5], Gen.Int[0, 9], Gen.Int[0, sound.Length], (flips, kind, at) =>
        {
            byte[] bytes = (byte[])sound.Clone();
            foreach ((int where, byte v) in flips) bytes[where] = v;
            return kind switch
            {
                0 => bytes[..at],
                1 => [.. bytes[..at], .. bytes[(at / 2)..at], .. bytes[at..]],
                _ => bytes,
            };
        });
    }

    private static void Survives(Action open)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            open();
        }
        catch (CheckpointException e)
        {
            Assert.NotEmpty(e.Message);
        }
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 16 << 20);
    }

    [Fact]
    public void Safetensors_files()
    {
        byte[] sound = Build(
            """{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}}""", new byte[32]);
        Damaged(sound, sound.Length - 32, "0123456789\"{}[]:,-.eE\\u ").Sample(
            bytes => Survives(() =>
            {
                using SafetensorsFile file = SafetensorsFile.Open(_folder.Write("x.safetensors", bytes));
                foreach (string name in file.Names)
                {
                    CheckpointTensor tensor = file.Tensor(name);
                    tensor.Read(0, new float[tensor.Count]);
                }
            }),
            iter: Samples, threads: 1);
    }

    [Theory]
    [InlineData(CompressionLevel.NoCompression)]
    [InlineData(CompressionLevel.Optimal)]
    public void Torch_files(CompressionLevel level)
    {
        byte[] sound = Pickle.Zip(
            level,
            Pickle.StateDict(p => p.Text("n.0.weight").Tensor("FloatStorage", "0", 8, 0, [3, 2], [2, 1]).Text("n.0.bias").Tensor("FloatStorage", "0", 8, 6, [2], [1])),
            ("data/0", new byte[32]), ("byteorder", "little"u8.ToArray()));
        Damaged(sound, sound.Length, "\0\u0001\u00ff()tRQcXq").Sample(bytes => Survives(() => ReadTorch(bytes)), iter: Samples, threads: 1);
    }

    [Fact]
    public void Pickles_inside_sound_zip_files()
    {
        byte[] sound = Pickle.StateDict(p => p.Text("n.0.weight").Tensor("FloatStorage", "0", 8, 0, [3, 2], [2, 1]));
        Damaged(sound, sound.Length, "\0\u0001\u0002\u00ff()tRQcXqhub.").Sample(bytes => Survives(() => ReadTorch(Pickle.Zip(bytes, ("data/0", new byte[32])))), iter: Samples, threads: 1);
    }

    [Fact]
    public void Random_programs_of_pickle_instructions()
    {
        string[] instructions =
        [
            "(", ")", "N", "\u0088", "\u0089", "K\u0001", "M\u0001\u0001", "}", "]", "a", "e", "s", "u", "t", "\u0085", "\u0086", "\u0087", "0", "b", "R", "Q",
            "q\0", "q\u0001", "h\0", "h\u0001", "\u0094", "\u008c\u0001x", "\u008c\u0007storage", "ccollections\nOrderedDict\n", "ctorch\nFloatStorage\n",
            "ctorch._utils\n_rebuild_tensor_v2\n", "ctorch._utils\n_rebuild_parameter\n", "\u0093",
        ];
        Gen.OneOfConst(instructions).Array[0, 60].Sample(
            program => Survives(() => ReadTorch(Pickle.Zip(Encoding.Latin1.GetBytes("\u0080\u0004" + string.Concat(program) + "."), ("data/x", new byte[4])))),
            iter: Samples, threads: 1);
    }

    [Theory]
    [InlineData("config.json")]
    [InlineData("model.safetensors.index.json")]
    [InlineData("model-00003-of-00003.safetensors")]
    [InlineData("gating_layer.pt")]
    public void Model_folders(string name)
    {
        _folder.CopyGolden("b_bf16_sharded");
        byte[] sound = File.ReadAllBytes(_folder[name]);
        Damaged(sound, Math.Min(sound.Length, 2000), "0123456789\"{}[]:,-.eE\\u/ ").Sample(
            bytes => Survives(() =>
            {
                _folder.Write(name, bytes);
                Checkpoint.Open(_folder.Path).Dispose();
            }),
            iter: Samples / 4, threads: 1);
    }

    private void ReadTorch(byte[] bytes)
    {
        using TorchFile file = TorchFile.Open(_folder.Write("x.pt", bytes));
        foreach (CheckpointTensor tensor in file.Tensors.Values) tensor.Read(0, new float[tensor.Count]);
    }
}
