using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Conversion;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Checkpoints;

/// <summary>
/// Files of weights that another program cuts short while they are read. If they were mapped, the system would end this process.
/// </summary>
public sealed class CutFilesTests : IDisposable
{
    /// <summary>A tensor over the size up to which files are read whole. Most of it is a hole in the file.</summary>
    private const int Elements = 17 << 20;

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("F32", ElementType.Fp32)]
    [InlineData("F16", ElementType.Fp16)]
    public void A_tensor_beyond_the_new_end_is_an_error_that_names_the_file(string type, ElementType element)
    {
        int count = Elements * 4 / element.Bytes();
        string path = Large($$"""{"t":{"dtype":"{{type}}","shape":[{{count / 1024}},1024],"data_offsets":[0,{{Elements * 4L}}] } }""");
        using SafetensorsFile file = SafetensorsFile.Open(path);
        CheckpointTensor tensor = file.Tensor("t");
        float[] few = new float[8];
        tensor.Read(count - 8, few);
        Cut(path, 1 << 20);
        tensor.Read(0, few);
        Assert.All(new Action[] { () => tensor.Read(count - 8, few), () => tensor.CopyBytes(tensor.Bytes - 8, new byte[8]),
            () => tensor.Read(0, new float[count]) }, read => Assert.Contains(
                $"{path} became shorter while it was read", Assert.Throws<CheckpointException>(read).Message, StringComparison.Ordinal));
    }

    [Fact]
    public void A_range_of_a_converted_folder_is_one_too()
    {
        string path = Large($$"""{"t":{"dtype":"I8","shape":[{{Elements * 4L}}],"data_offsets":[0,{{Elements * 4L}}] } }""");
        using SafetensorsFile file = SafetensorsFile.Open(path);
        FileRange range = file.Range("t", "I8", [Elements * 4]);
        range.CopyTo(range.Length - 5, new byte[5]);
        Cut(path, 1 << 20);
        Assert.Contains(path, Assert.Throws<CheckpointException>(() => range.CopyTo(range.Length - 5, new byte[5])).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_conversion_ends_with_an_error_and_leaves_no_file()
    {
        _folder.CopyGolden("a_f32_sliding");
        string weights = _folder["model.safetensors"];
        WideFile.Widen(weights, 65 << 20);
        using TempFolder target = new();
        bool cut = false;
        Progress progress = new(() =>
        {
            if (!cut) Cut(weights, 100);
            cut = true;
        });
        CheckpointException e = Assert.Throws<CheckpointException>(
            () => Converter.Run(_folder.Path, target["m"], WeightFormat.Int8, progress: progress));
        Assert.True(cut);
        Assert.Contains("model.safetensors", e.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(target["m"], "*.safetensors"));
    }

    /// <summary>A transposed tensor is gathered from memory, so that a large file of PyTorch takes no read an element.</summary>
    [Fact]
    public void A_transposed_tensor_of_a_large_file_is_that_of_a_small_one_and_can_be_forgotten()
    {
        const int rows = 4096, columns = 4200;
        string path = _folder["t.bin"];
        float[] values = [.. Enumerable.Range(0, rows * columns).Select(i => (float)i)];
        string header = $$"""{"t":{"dtype":"F32","shape":[{{rows}},{{columns}}],"data_offsets":[0,{{values.Length * 4}}] } }""";
        File.WriteAllBytes(path, TorchCopy.Torch(Safetensors.Build(header, Safetensors.Floats(values)), strided: true));
        Assert.True(new FileInfo(path).Length > FileBytes.MaxCopied);
        using TorchFile file = TorchFile.Open(path);
        CheckpointTensor tensor = file.Tensor("t");
        for (int pass = 0; pass < 2; pass++)
        {
            Assert.Equal(values, tensor.ReadAll());
            file.Forget();
        }

        Cut(path, 1 << 20);
        Assert.Contains(path, Assert.Throws<CheckpointException>(() => tensor.ReadAll()).Message, StringComparison.Ordinal);
    }

    private sealed class Progress(Action report) : IProgress<ConversionProgress>
    {
        public void Report(ConversionProgress value) => report();
    }

    private static void Cut(string path, long length)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        file.SetLength(length);
    }

    private string Large(string header)
    {
        string path = _folder["large.safetensors"];
        byte[] start = Safetensors.Build(header, []);
        File.WriteAllBytes(path, start);
        Cut(path, start.Length + (Elements * 4L));
        return path;
    }
}
