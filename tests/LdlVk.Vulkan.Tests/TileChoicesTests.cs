using CsCheck;
using LdlVk.Vulkan.Kernels;

namespace LdlVk.Vulkan.Tests;

/// <summary>The file of chosen tilings only saves time: nothing that happens to it is an error.</summary>
[Trait("Duration", "Long")]
public sealed class TileChoicesTests : IDisposable
{
    private static readonly TilingKey A = new(TiledKernel.Matrix, WeightFormat.Fp16, true, 96, 64, 512), B = new(TiledKernel.Tile, WeightFormat.Int8, false, 64, 96, 16);

    private readonly string _folder = Directory.CreateTempSubdirectory("ldlvk-tiles").FullName;

    private string FilePath => Path.Combine(_folder, "sub", "tiles.json");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Choices_are_kept()
    {
        Assert.Null(Open()[A]);
        Keep((A, "a"), (B, "b\"\n\u00e9"));
        TileChoices read = Open();
        Assert.Equal(("a", "b\"\n\u00e9"), (read[A], read[B]));
        Assert.Null(read[A with { Rows = 256 }]);
        Assert.Null(read[A with { Kernel = TiledKernel.Tile }]);
        Assert.Null(read[A with { Gated = false }]);
        Keep((A, "a again"));
        Assert.Equal(("a again", "b\"\n\u00e9"), (Open()[A], Open()[B]));
        Assert.Single(Directory.GetFiles(Path.GetDirectoryName(FilePath)!));
    }

    [Fact]
    public void Choices_of_another_process_are_kept_too()
    {
        TileChoices first = Open(), second = Open();
        first[A] = "first";
        Assert.True(first.Save());
        second[B] = "second";
        Assert.True(second.Save());
        Assert.Equal(("first", "second"), (Open()[A], Open()[B]));
        Assert.Equal("first", second[A]);
        // Choices read earlier do not overwrite newer ones.
        first[A] = "newer";
        Assert.True(first.Save());
        second[B] = "second again";
        Assert.True(second.Save());
        Assert.Equal(("newer", "second again"), (Open()[A], Open()[B]));
    }

    [Theory]
    [InlineData("another device", "kernels")]
    [InlineData("device", "other kernels")]
    public void Choices_for_other_devices_and_kernels_are_ignored_and_replaced(string device, string kernels)
    {
        Keep((A, "a"));
        TileChoices other = new(FilePath, device, kernels);
        Assert.Null(other[A]);
        other[B] = "other";
        Assert.True(other.Save());
        Assert.Equal((null, null), (Open()[A], Open()[B]));
        Assert.Equal("other", new TileChoices(FilePath, device, kernels)[B]);
    }

    /// <summary>A file that is truncated, or has one byte changed, gives the same choices, other valid ones, or none.</summary>
    [Fact]
    public void A_damaged_file_is_no_error()
    {
        Keep((A, "a"), (B, "b"));
        byte[] whole = File.ReadAllBytes(FilePath);
        for (int i = 0; i < whole.Length; i++)
        {
            File.WriteAllBytes(FilePath, whole[..i]);
            Assert.Null(Open()[A]);
        }

        Gen.Select(Gen.Int[0, whole.Length - 1], Gen.Byte).Sample((at, value) =>
        {
            byte[] damaged = [.. whole];
            damaged[at] = value;
            string path = Path.Combine(_folder, $"{Guid.NewGuid():N}.json");
            File.WriteAllBytes(path, damaged);
            TileChoices read = new(path, "device", "kernels");
            File.Delete(path);
            // One of the two may name other tiles or belong to another product; a file that is no longer JSON gives none.
            return (read[A] is null && read[B] is null) || read[A] == "a" || read[B] == "b";
        }, iter: 3000);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"device\":1}")]
    [InlineData("{\"device\":\"\\ud800\",\"kernels\":\"\",\"choices\":[]}")]
    [InlineData("{\"device\":\"device\",\"kernels\":\"kernels\"}")]
    [InlineData("{\"device\":\"device\",\"kernels\":\"kernels\",\"choices\":{}}")]
    [InlineData("{\"device\":\"device\",\"kernels\":\"kernels\",\"choices\":[GOOD,null]}")]
    [InlineData("{\"device\":\"device\",\"kernels\":\"kernels\",\"choices\":[GOOD,{}]}")]
    [InlineData("{\"device\":\"device\",\"kernels\":\"kernels\",\"choices\":[GOOD,{\"kernel\":\"7\",\"format\":\"fp16\",\"gated\":true,\"outputs\":1,\"inputs\":1,\"rows\":1,\"tiles\":\"x\"}]}")]
    [InlineData("{\"device\":\"device\",\"kernels\":\"kernels\",\"choices\":[GOOD,{\"kernel\":\"tile\",\"format\":\"fp16\",\"gated\":1,\"outputs\":1,\"inputs\":1,\"rows\":1,\"tiles\":\"x\"}]}")]
    [InlineData("{\"device\":\"device\",\"kernels\":\"kernels\",\"choices\":[GOOD,{\"kernel\":\"tile\",\"format\":\"fp16\",\"gated\":true,\"outputs\":1e99,\"inputs\":1,\"rows\":1,\"tiles\":\"x\"}]}")]
    [InlineData("{\"device\":\"device\",\"kernels\":\"kernels\",\"choices\":[GOOD,{\"kernel\":\"tile\",\"format\":\"fp16\",\"gated\":true,\"outputs\":1,\"inputs\":1,\"rows\":1,\"tiles\":null}]}")]
    public void A_hostile_file_is_ignored_and_replaced(string content)
    {
        const string Good = "{\"kernel\":\"matrix\",\"format\":\"fp16\",\"gated\":true,\"outputs\":96,\"inputs\":64,\"rows\":512,\"tiles\":\"x\"}";
        Directory.CreateDirectory(Path.GetDirectoryName(FilePath)!);
        File.WriteAllText(FilePath, content.Replace("GOOD", Good, StringComparison.Ordinal));
        Assert.Null(Open()[A]);
        Keep((A, "a"));
        Assert.Equal("a", Open()[A]);
    }

    [Fact]
    public void A_file_of_any_size_and_depth_is_no_error()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(FilePath)!);
        foreach (string content in new[] { new string('[', 1_000_000), new string(' ', 5 << 20) })
        {
            File.WriteAllText(FilePath, content);
            Assert.Null(Open()[A]);
        }
    }

    [Fact]
    public void Without_a_writable_folder_nothing_is_written()
    {
        File.WriteAllText(Path.Combine(_folder, "file"), "");
        Directory.CreateDirectory(Path.Combine(_folder, "folder"));
        foreach (string? path in new[] { Path.Combine(_folder, "file", "tiles.json"), Path.Combine(_folder, "folder"), Path.Combine(_folder, "a\0b"), "/proc/none/tiles.json", null })
        {
            TileChoices choices = new(path, "device", "kernels") { [A] = "a" };
            Assert.False(choices.Save());
            Assert.Equal("a", choices[A]);
        }

        Assert.Equal(["file"], Directory.GetFiles(_folder).Select(Path.GetFileName));
    }

    [Fact]
    public void Readers_see_whole_files_only()
    {
        Keep((A, "0"));
        Parallel.For(0, 200, i =>
        {
            TileChoices choices = Open();
            Assert.True(OperatingSystem.IsWindows() || choices[A] is not null);
            if (i % 2 != 0) return;
            choices[A] = new string('x', i * 100);
            Assert.True(choices.Save() || OperatingSystem.IsWindows());
        });
        Assert.Single(Directory.GetFiles(Path.GetDirectoryName(FilePath)!));
    }

    private TileChoices Open() => new(FilePath, "device", "kernels");

    private void Keep(params (TilingKey Key, string Name)[] choices)
    {
        TileChoices file = Open();
        foreach ((TilingKey key, string name) in choices) file[key] = name;
        Assert.True(file.Save());
    }
}
