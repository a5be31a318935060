using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Model.Heads;
using LdlVk.Testing;
using Xunit;

// The shared devices are not thread-safe.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace LdlVk.Tests;

/// <summary>What the end-to-end tests share: theory data, and a checkpoint loaded on a shared device.</summary>
public abstract class DeviceTest
{
    public static TheoryData<string> Devices => [.. TestDevices.ForModels];

    public static TheoryData<string, string> DevicesAndCases
    {
        get
        {
            TheoryData<string, string> data = [];
            foreach (string device in TestDevices.Ids)
                foreach (string name in Goldens.Cases) data.Add(device, name);
            return data;
        }
    }

    /// <summary>A checkpoint on a shared device; disposing it must leave nothing there.</summary>
    protected sealed class Loaded : IDisposable
    {
        private readonly Checkpoint _checkpoint;
        private readonly long _before;

        public Loaded(
            string device, string folder, WeightFormat weights, WeightFormat heads = WeightFormat.Fp32, ComputeMode compute = ComputeMode.Auto,
            string? head = null, EmbeddingScale scale = EmbeddingScale.Auto, string? adapter = null)
        {
            Device = TestDevices.Shared(device);
            _before = Device.AllocatedBytes;
            _checkpoint = Checkpoint.Open(folder, adapter, head);
            Engine = ScoringEngine.Load(Device, _checkpoint, new LoadSettings(weights, heads, scale, compute));
        }

        /// <summary>Loads a case of the goldens, with its adapter and the head that its files do not name.</summary>
        public Loaded(
            string device, GoldenCase golden, WeightFormat weights, WeightFormat heads = WeightFormat.Fp32, ComputeMode compute = ComputeMode.Auto,
            EmbeddingScale scale = EmbeddingScale.Auto)
            : this(device, golden.Folder, weights, heads, compute, golden.Head, scale, golden.Adapter)
        {
        }

        public IDevice Device { get; }
        public ScoringEngine Engine { get; }
        public ModelHead Head => _checkpoint.Head;

        /// <summary>A row of the goldens as the head reads it.</summary>
        public PackedText Text(GoldenRow row) => Text(row.Ids, row.StepPositions);

        /// <summary>Ids as the head reads them.</summary>
        public PackedText Text(int[] ids, int[]? steps = null)
        {
            int[] reads = _checkpoint.ReadPositions(ids, steps);
            return new PackedText(ids[..(reads.Max() + 1)], reads);
        }

        public void Dispose()
        {
            Engine.Dispose();
            _checkpoint.Dispose();
            Assert.Equal(_before, Device.AllocatedBytes);
        }
    }
}
