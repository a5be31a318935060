using LdlVk.Runtime.Devices;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>When a model is loaded, a real GPU is tuned for it once, and nothing else is.</summary>
public sealed class FirstUseTests
{
    private static readonly string Mini = Repository.Path("models", "ldl-mini");

    [Fact]
    public void A_real_gpu_is_tuned_once()
    {
        Gpu gpu = new();
        using (RewardModel first = Load(gpu))
        {
            Assert.Contains("ldlvk tune", first.TuningNote!.ToString(), StringComparison.Ordinal);
            Assert.Contains("scores are the same", first.TuningNote!.ToString(), StringComparison.Ordinal);
        }

        Assert.Equal(1, gpu.Passes);
        Assert.InRange(gpu.Limit!.Value.TotalSeconds, 0.5, 2);
        Assert.Contains(gpu.Kept, p => p.Gated);
        Assert.All(gpu.Kept, p => Assert.Equal(WeightFormat.Fp16, p.Format));
        using RewardModel second = Load(gpu);
        Assert.Null(second.TuningNote);
        Assert.Equal(1, gpu.Passes);
    }

    [Fact]
    public void Not_where_it_is_not_wanted()
    {
        Gpu gpu = new();
        using RewardModel model = Load(gpu, new RewardModelOptions { Device = "cpu", Tune = false, Weights = WeightFormat.Fp16 });
        Assert.Equal((0, null), (gpu.Passes, model.TuningNote));
    }

    [Theory]
    [InlineData(DeviceKind.Software)]
    [InlineData(DeviceKind.Cpu)]
    public void Never_on_the_processor(DeviceKind kind)
    {
        Gpu gpu = new() { Kind = kind };
        using RewardModel model = Load(gpu);
        Assert.Equal((0, null), (gpu.Passes, model.TuningNote));
    }

    [Fact]
    public void Where_nothing_can_be_kept_nothing_is_said()
    {
        Gpu gpu = new() { Keeps = false };
        using RewardModel model = Load(gpu);
        Assert.Null(model.TuningNote);
    }

    [Fact]
    public void A_device_that_falls_over_is_opened_afresh()
    {
        Gpu gpu = new() { Falls = true };
        using RewardModel model = Load(gpu);
        Assert.Null(model.TuningNote);
        Assert.Equal((2, 1), (gpu.Opened, gpu.Disposed));
        Assert.True(float.IsFinite(model.Score([2, 3, 4]).Score));
    }

    private static RewardModel Load(Gpu gpu, RewardModelOptions? options = null) =>
        RewardModel.Load(Mini, _ => gpu.Open(), options ?? new RewardModelOptions { Device = "cpu", Weights = WeightFormat.Fp16 });

    /// <summary>A GPU to look at, and the processor inside; remembers what was asked of it however often it is opened.</summary>
    private sealed class Gpu
    {
        private readonly List<FailingDevice> _devices = [];

        public DeviceKind Kind { get; init; } = DeviceKind.DiscreteGpu;
        public bool Keeps { get; init; } = true;
        public bool Falls { get; init; }
        public int Opened => _devices.Count;
        public int Disposed => _devices.Count(d => d.IsDisposed);
        public int Passes { get; private set; }
        public TimeSpan? Limit { get; private set; }
        public HashSet<LinearProduct> Kept { get; } = [];

        public IDevice Open()
        {
            Tunable device = new(this, TestDevices.Get("cpu").Open());
            _devices.Add(device);
            return device;
        }

        private sealed class Tunable(Gpu gpu, IDevice inner) : FailingDevice(inner), ITunableDevice
        {
            public IReadOnlyList<string> Tilings(in LinearProduct product) => [];

            public IDisposable Use(string tiling) => throw new NotSupportedException();

            public override DeviceInfo Info => base.Info with { Kind = gpu.Kind };

            public string? ChoicesFile => null;

            public IReadOnlyList<LinearProduct> Untuned(IEnumerable<LinearProduct> products) => [.. products.Where(p => !gpu.Kept.Contains(p))];

            public bool Tune(IReadOnlyList<LinearProduct> products, TimeSpan? limit, IProgress<TunedProduct>? progress, CancellationToken cancellation)
            {
                (gpu.Passes, gpu.Limit) = (gpu.Passes + 1, limit);
                if (gpu.Keeps) gpu.Kept.UnionWith(products);
                if (gpu.Falls) throw new DeviceException("fell over", failure: DeviceFailure.Lost);
                return gpu.Keeps;
            }
        }
    }
}
