using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Tests;

/// <summary>The file of compiled kernels only saves time: nothing that happens to it is an error.</summary>
public sealed class VulkanPipelineCacheTests : VulkanTest, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("ldlvk-cache").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Saved_data_is_loaded()
    {
        PipelineCacheFile file = FileAt("sub/cache.bin");
        Assert.Empty(file.Load());
        file.Save(Data(1, 500));
        Assert.Equal(Data(1, 500), file.Load());
        file.Save(Data(2, 40));
        Assert.Equal(Data(2, 40), file.Load());
        Assert.Single(Directory.GetFiles(Path.Combine(_folder, "sub")));
    }

    [Fact]
    public void Damaged_and_truncated_files_are_ignored()
    {
        FileAt("cache.bin").Save(Data(1, 100));
        byte[] whole = File.ReadAllBytes(PathOf("cache.bin"));
        for (int i = 0; i < whole.Length; i++)
        {
            byte[] damaged = [.. whole];
            damaged[i] ^= 1;
            File.WriteAllBytes(PathOf("cache.bin"), damaged);
            Assert.Empty(FileAt("cache.bin").Load());
            File.WriteAllBytes(PathOf("cache.bin"), whole[..i]);
            Assert.Empty(FileAt("cache.bin").Load());
        }

        File.WriteAllBytes(PathOf("cache.bin"), [.. whole, 0]);
        Assert.Empty(FileAt("cache.bin").Load());
    }

    [Fact]
    public void Files_of_another_driver_are_ignored()
    {
        // Version, vendor, device, first and last byte of the UUID.
        foreach (int at in new[] { 4, 8, 12, 16, 31 })
        {
            byte[] foreign = Data(1, 100);
            foreign[at] ^= 1;
            FileAt("cache.bin").Save(foreign);
            Assert.Empty(FileAt("cache.bin").Load());
        }
    }

    [Fact]
    public void Without_a_writable_folder_nothing_is_written()
    {
        File.WriteAllText(PathOf("file"), "");
        Directory.CreateDirectory(PathOf("folder"));
        foreach (string path in new[] { PathOf("file/cache.bin"), PathOf("folder"), PathOf("a\0b"), "/proc/none/cache.bin" })
        {
            var file = new PipelineCacheFile(path, Properties());
            file.Save(Data(1, 100));
            Assert.Empty(file.Load());
        }

        var nowhere = new PipelineCacheFile(null, Properties());
        nowhere.Save(Data(1, 100));
        Assert.Empty(nowhere.Load());
        Assert.Equal(["file"], Directory.GetFiles(_folder).Select(Path.GetFileName));
    }

    [Fact]
    public void Readers_see_whole_files_only()
    {
        byte[][] contents = [.. Enumerable.Range(0, 4).Select(i => Data(i, 100_000 + (i * 50_000)))];
        Parallel.For(0, 200, i =>
        {
            PipelineCacheFile file = FileAt("cache.bin");
            if (i % 2 == 0) file.Save(contents[i / 2 % 4]);
            byte[] loaded = file.Load();
            // Windows refuses to read a file that is being replaced; it counts as missing.
            Assert.True((loaded.Length == 0 && (i % 2 == 1 || OperatingSystem.IsWindows())) || contents.Any(c => c.AsSpan().SequenceEqual(loaded)));
        });
        Assert.Single(Directory.GetFiles(_folder));
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Devices_open_with_any_file(int driver)
    {
        Use(driver);
        string path = Directory.GetFiles(_folder).Single();
        byte[] saved = File.ReadAllBytes(path);
        // After our digest the software drivers save only a header of 32 bytes, Mesa 26.2's llvmpipe 20 bytes of it.
        Assert.True(saved.Length > 32);
        foreach (byte[] content in new byte[][] { saved, [], saved[..50], [.. saved.Select(b => (byte)~b)] })
        {
            File.WriteAllBytes(path, content);
            Use(driver);
            Assert.InRange(new FileInfo(path).Length, 33, long.MaxValue);
        }
    }

    [Fact]
    public async Task Processes_may_share_a_file()
    {
        Assert.SkipWhen(Drivers.Count == 0, "no Vulkan device here");
        (int ExitCode, string Output)[] children = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => VulkanChild.Run($"use {_folder}")));
        Assert.All(children, c => Assert.True(c.ExitCode == 0, c.Output));
        Assert.Single(Directory.GetFiles(_folder));
        Use(0);
    }

    private void Use(int driver)
    {
        using VulkanDevice device = Open(driver, cacheFolder: _folder);
        AssertWorks(device);
    }

    private string PathOf(string name) => Path.Combine(_folder, name);

    private PipelineCacheFile FileAt(string name) => new(PathOf(name), Properties());

    private static unsafe PhysicalDeviceProperties Properties()
    {
        var properties = new PhysicalDeviceProperties(vendorID: 0x1234, deviceID: 0x5678);
        for (int i = 0; i < 16; i++) properties.PipelineCacheUuid[i] = (byte)(i + 1);
        return properties;
    }

    /// <summary>A cache of that device with a seeded content.</summary>
    private static byte[] Data(int seed, int length)
    {
        byte[] data = new byte[length];
        new Random(seed).NextBytes(data);
        byte[] header = [32, 0, 0, 0, 1, 0, 0, 0, 0x34, 0x12, 0, 0, 0x78, 0x56, 0, 0, .. Enumerable.Range(1, 16).Select(i => (byte)i)];
        header.CopyTo(data, 0);
        return data;
    }
}
