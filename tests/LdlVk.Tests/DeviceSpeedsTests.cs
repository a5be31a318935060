using System.Runtime.CompilerServices;
using LdlVk.Cpu;
using LdlVk.Runtime.Execution;
using LdlVk.Scoring;
using Xunit;

namespace LdlVk.Tests;

/// <summary>The file of measured speeds is a shortcut: whatever happens to it is never an error.</summary>
public sealed class DeviceSpeedsTests : IDisposable
{
    private static readonly DeviceInfo Cpu = CpuBackend.Enumerate()[0];

    private readonly string _folder = Directory.CreateTempSubdirectory("ldlvk-speeds").FullName;
    private int _measured;

    private string FilePath => Path.Combine(_folder, "sub", "speeds.tsv");

    /// <summary>No test of this assembly measures this machine, or writes into its user's cache, on the way to something else.</summary>
    [ModuleInitializer]
    internal static void UseGivenSpeeds() => DeviceSpeeds.Default = new DeviceSpeeds(null, (_, _) => new DeviceSpeed(1e11, 1e9));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Each_driver_and_format_is_measured_once()
    {
        DeviceSpeed first = Of(Cpu);
        Assert.Equal(first, Of(Cpu));
        Assert.Equal(1, _measured);
        Of(Cpu, WeightFormat.Int8);
        Of(Cpu with { Driver = "another\t\n1e9" });
        Of(Cpu with { Driver = "another\t\n1e9" });
        Assert.Equal(3, _measured);
        Assert.Equal(first, Of(Cpu));
        Assert.Equal(3, _measured);
        Assert.Equal([FilePath], Directory.GetFiles(Path.GetDirectoryName(FilePath)!));
    }

    /// <summary>A device that brings weights in on a timeline of its own, and lets nobody wait for that: its speed is still no more than it is.</summary>
    [Fact]
    public void Uploads_are_measured_to_their_end()
    {
        TimeSpan fill = TimeSpan.FromMilliseconds(10);
        using PacedDevice device = new(CpuBackend.Open("cpu"), TimeSpan.Zero, fill);
        Assert.InRange(SpeedProbe.Measure(device, WeightFormat.Int8).UploadBytesPerSecond, 1, 70e6 / fill.TotalSeconds);
    }

    [Theory]
    [InlineData("")]
    [InlineData("no tabs at all\n\n\t\t\t\t\n")]
    [InlineData("{key}\tNaN\t1e9\n")]
    [InlineData("{key}\t1e12\tInfinity\n")]
    [InlineData("{key}\t-1e12\t1e9\n")]
    [InlineData("{key}\t0\t0\n")]
    [InlineData("{key}\t1e12\n")]
    [InlineData("{key}\t1e12\t1e9\t1\n")]
    [InlineData("{key}\t1e400\t1e9\n")]
    [InlineData("\0\ud83d\ude00{key}\u202e\t1e12\t1e9\n")]
    public void What_is_no_speed_is_measured_again_and_replaced(string content)
    {
        Of(Cpu);
        string key = File.ReadAllText(FilePath).Split('\t')[0];
        File.WriteAllText(FilePath, content.Replace("{key}", key, StringComparison.Ordinal));
        Of(Cpu);
        Of(Cpu);
        Assert.Equal(2, _measured);
    }

    [Fact]
    public void A_file_that_is_too_long_is_not_read_and_replaced()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(FilePath)!);
        using (FileStream file = File.Create(FilePath)) file.SetLength(1L << 33); // sparse
        Of(Cpu);
        Of(Cpu);
        Assert.Equal(1, _measured);
        Assert.InRange(new FileInfo(FilePath).Length, 1, 1000);
    }

    [Fact]
    public void Many_drivers_do_not_make_it_grow_for_ever()
    {
        Of(Cpu);
        string line = File.ReadAllText(FilePath), key = line.Split('\t')[0];
        File.WriteAllText(FilePath, string.Concat(Enumerable.Range(0, 3000).Select(i => line.Replace(key, $"{key}{i}", StringComparison.Ordinal))));
        Of(Cpu);
        Of(Cpu);
        Assert.Equal(2, _measured);
        Assert.Equal(1000, File.ReadAllLines(FilePath).Length);
    }

    [Fact]
    public void Where_nothing_can_be_written_it_is_measured_each_time()
    {
        string file = Path.Combine(_folder, "a file");
        File.WriteAllText(file, "");
        foreach (string? path in (string?[])[null, Path.Combine(file, "speeds.tsv"), _folder, "/proc/speeds.tsv", "a\0b/speeds.tsv"])
        {
            _measured = 0;
            Of(Cpu, path: path);
            Of(Cpu, path: path);
            Assert.Equal(2, _measured);
        }

        Assert.Empty(Directory.GetFiles(Path.GetDirectoryName(_folder)!, Path.GetFileName(_folder) + ".*"));
    }

    [Fact]
    public void A_device_that_cannot_be_measured_has_no_speed()
    {
        Assert.Null(new DeviceSpeeds(FilePath, (_, _) => null).Of(Cpu, WeightFormat.Fp16));
        Assert.False(File.Exists(FilePath));
    }

    private DeviceSpeed Of(DeviceInfo device, WeightFormat weights = WeightFormat.Fp16) => Of(device, weights, FilePath);

    private DeviceSpeed Of(DeviceInfo device, string? path) => Of(device, WeightFormat.Fp16, path);

    private DeviceSpeed Of(DeviceInfo device, WeightFormat weights, string? path) => new DeviceSpeeds(path, (_, _) =>
    {
        _measured++;
        return new DeviceSpeed(1.23456789e12, 1.23456789e9);
    }).Of(device, weights)!.Value;
}
