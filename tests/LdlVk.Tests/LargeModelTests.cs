using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>Checkpoints of real sizes, made up: a layer of the 27B model, and many layers for the memory that loading takes.</summary>
public sealed class LargeModelTests(ITestOutputHelper output) : DeviceTest, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("ldlvk-large").FullName;

    /// <summary>Each device once, with its own kernels.</summary>
    public static TheoryData<string> OwnDevices => [.. TestDevices.Ids.Where(id => !id.EndsWith(" tile", StringComparison.Ordinal))];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>
    /// Gate, up and down are 170 MB each in int8 and 340 MB in fp16: beyond the 128 MiB that some drivers allow a storage buffer.
    /// There is no reference for made-up weights, so the CPU device, which the goldens hold to the reference, is it.
    /// </summary>
    [Fact]
    public void ALayerOfTheTrueShapeScoresTheSameOnEveryDevice()
    {
        SyntheticCheckpoint.Write(_folder, SyntheticShape.TrueLayer);
        int[] ids = [.. Enumerable.Range(0, 12).Select(i => (i * 89) % 1024)];
        foreach (WeightFormat format in new[] { WeightFormat.Int8, WeightFormat.Fp16 })
        {
            Reward? want = null;
            foreach (string device in TestDevices.Ids.Where(id => !id.EndsWith(" tile", StringComparison.Ordinal)))
            {
                if (!Fits(TestDevices.Shared(device), format)) continue;
                using var model = new Loaded(device, _folder, format);
                Reward got = model.Engine.Score(Runtime.Batching.Packer.Pack([ids], 512).Single())[0];
                output.WriteLine($"{device} {format}: {got.Score}");
                want ??= got;
                Assert.True(float.IsFinite(got.Score));
                Assert.InRange(got.Score, want.Score - 1e-3, want.Score + 1e-3);
                for (int i = 0; i < got.Rewards.Length; i++) Assert.InRange(got.Rewards[i], want.Rewards[i] - 1e-3, want.Rewards[i] + 1e-3);
            }

            Assert.NotNull(want);
        }
    }

    /// <summary>
    /// Loading stages a few rows at a time: what it takes in anonymous memory beside the device's own stays below three times the largest
    /// tensor and 200 MB, though the checkpoint is many times that.
    /// </summary>
    [Theory]
    [MemberData(nameof(OwnDevices))]
    public void LoadingStagesLittleMemory(string id)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "anonymous memory is read from /proc, which only Linux has");
        // 40 layers of 30 MB in bf16, the largest tensor 8 MB.
        var shape = new SyntheticShape(1024, 40, 8, 4, 128, 4096, 4096, 128);
        SyntheticCheckpoint.Write(_folder, shape);
        const long LargestTensor = 2L * 1024 * 4096;
        IDevice device = TestDevices.Shared(id);
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        long before = Anonymous() - device.AllocatedBytes, peak = 0;
        using var sampling = new CancellationTokenSource();
        var sampler = new Thread(() =>
        {
            while (!sampling.IsCancellationRequested)
            {
                // Read the account first: memory that appears between the two readings counts as staging.
                long allocated = device.AllocatedBytes;
                peak = Math.Max(peak, Anonymous() - allocated - before);
                Thread.Sleep(2);
            }
        });
        sampler.Start();
        using (var model = new Loaded(id, _folder, WeightFormat.Fp16))
        {
            sampling.Cancel();
            sampler.Join();
            output.WriteLine($"{id}: {peak / 1e6:F0} MB staged for {model.Device.AllocatedBytes / 1e6:F0} MB of weights");
        }

        Assert.InRange(peak, long.MinValue, (3 * LargestTensor) + 200_000_000);
    }

    private static bool Fits(IDevice device, WeightFormat format) =>
        2L * 565_000_000 * (format == WeightFormat.Fp16 ? 2 : 1) < device.Info.FreeMemoryBytes + (device.Info.Id == "cpu" ? 1L << 40 : 0);

    private static long Anonymous()
    {
        foreach (string line in File.ReadLines("/proc/self/status"))
            if (line.StartsWith("RssAnon:", StringComparison.Ordinal))
                return 1024 * long.Parse(line.AsSpan(8).Trim().ToString().Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);
        return 0;
    }
}
