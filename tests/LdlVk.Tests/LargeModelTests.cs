using LdlVk.Runtime.Conversion;
using LdlVk.Runtime.Devices;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>Checkpoints of real sizes, made up: a layer of the 27B model, and many layers for the memory that loading takes.</summary>
[Trait("Duration", "Long")]
public sealed class LargeModelTests(ITestOutputHelper output) : DeviceTest, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("ldlvk-large").FullName;

    /// <summary>Each device once, with its own kernels.</summary>
    public static TheoryData<string> OwnDevices => [.. TestDevices.ForModels.Where(id => !id.EndsWith(" tile", StringComparison.Ordinal))];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>
    /// Gate, up and down are 170 MB each in int8 and 340 MB in fp16: beyond the 128 MiB that some drivers allow a storage buffer.
    /// There is no reference for made-up weights, so the CPU device, which the goldens hold to the reference, is it.
    /// </summary>
    [Fact]
    public void A_layer_of_the_true_shape_scores_the_same_on_every_device()
    {
        SyntheticCheckpoint.Write(_folder, SyntheticShape.TrueLayer);
        int[] ids = [.. Enumerable.Range(0, 12).Select(i => (i * 89) % 1024)];
        foreach (WeightFormat format in new[] { WeightFormat.Int8, WeightFormat.Fp16 })
        {
            Reward? want = null;
            foreach (string device in TestDevices.ForModels.Where(id => !id.EndsWith(" tile", StringComparison.Ordinal)))
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
    public void Loading_stages_little_memory(string id)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "anonymous memory is read from /proc, which only Linux has");
        // 40 layers of 30 MB in bf16, the largest tensor 8 MB.
        var shape = new SyntheticShape(1024, 40, 8, 4, 128, 4096, 4096, 128);
        SyntheticCheckpoint.Write(_folder, shape);
        const long LargestTensor = 2L * 1024 * 4096;
        IDevice device = TestDevices.Shared(id);
        var staging = new StagedMemory(() => device.AllocatedBytes);
        using (var model = new Loaded(id, _folder, WeightFormat.Fp16))
            output.WriteLine($"{id}: {staging.Stop() / 1e6:F0} MB staged for {model.Device.AllocatedBytes / 1e6:F0} MB of weights");
        Assert.InRange(staging.Stop(), long.MinValue, (3 * LargestTensor) + 200_000_000);
    }

    /// <summary>Converting holds 64 MiB of chunks and the scales of a matrix, not a layer and not a file.</summary>
    [Fact]
    public void Converting_takes_little_memory()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "anonymous memory is read from /proc, which only Linux has");
        // 12 layers of 30 MB in bf16.
        SyntheticCheckpoint.Write(Path.Combine(_folder, "source"), new SyntheticShape(1024, 12, 8, 4, 128, 4096, 4096, 128));
        foreach (WeightFormat format in new[] { WeightFormat.Fp16, WeightFormat.Int4 })
        {
            var staging = new StagedMemory(() => 0);
            ConversionResult result = Converter.Run(Path.Combine(_folder, "source"), Path.Combine(_folder, format.ToString()), format);
            long peak = staging.Stop();
            output.WriteLine($"{format}: {peak / 1e6:F0} MB for {result.Bytes / 1e6:F0} MB written");
            Assert.InRange(peak, long.MinValue, (64L << 20) + 60_000_000);
        }
    }

    private static bool Fits(IDevice device, WeightFormat format) =>
        2L * 565_000_000 * (format == WeightFormat.Fp16 ? 2 : 1) < device.Info.FreeMemoryBytes + (device.Info.Id == "cpu" ? 1L << 40 : 0);

    /// <summary>Watches how far this process's anonymous memory, less what an account knows of, grows.</summary>
    private sealed class StagedMemory
    {
        private readonly Thread _sampler;
        private volatile bool _stop;
        private long _peak;

        public StagedMemory(Func<long> account)
        {
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            long before = Anonymous() - account();
            _sampler = new Thread(() =>
            {
                while (!_stop)
                {
                    // Read the account first: memory that appears between the two readings counts as staging.
                    long known = account();
                    _peak = Math.Max(_peak, Anonymous() - known - before);
                    Thread.Sleep(2);
                }
            });
            _sampler.Start();
        }

        /// <summary>Ends it; gives the most bytes seen.</summary>
        public long Stop()
        {
            _stop = true;
            _sampler.Join();
            return _peak;
        }

        private static long Anonymous()
        {
            foreach (string line in File.ReadLines("/proc/self/status"))
                if (line.StartsWith("RssAnon:", StringComparison.Ordinal))
                    return 1024 * long.Parse(line.AsSpan(8).Trim().ToString().Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);
            return 0;
        }
    }
}
