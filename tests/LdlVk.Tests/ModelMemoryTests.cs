using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>What <see cref="ModelMemory"/> counts is what devices take.</summary>
public sealed class ModelMemoryTests : DeviceTest
{
    /// <summary>More than a processor has gate and up of at a time.</summary>
    private const int Rows = 384;

    public static TheoryData<string, WeightFormat, ComputeMode> Modes
    {
        get
        {
            TheoryData<string, WeightFormat, ComputeMode> data = [];
            foreach (string device in TestDevices.ForModels)
            {
                data.Add(device, WeightFormat.Fp32, ComputeMode.Auto);
                data.Add(device, WeightFormat.Fp16, ComputeMode.Auto);
                data.Add(device, WeightFormat.Int8, ComputeMode.Int8);
                data.Add(device, WeightFormat.Fp16, ComputeMode.Fp16x);
            }

            return data;
        }
    }

    /// <summary>Operands of products are about a fifth of it where there are any, so that a count without them fails.</summary>
    [Theory]
    [MemberData(nameof(Modes))]
    public void The_count_is_what_a_device_takes(string id, WeightFormat weights, ComputeMode compute)
    {
        var device = new ProfiledDevice(TestDevices.Shared(id));
        long before = device.AllocatedBytes;
        var config = new BackboneConfig
        {
            Architecture = LdlVk.Runtime.Model.Architecture.Gemma2,
            HiddenSize = 256, Layers = 2, Heads = 4, KeyValueHeads = 2, HeadDimension = 64, IntermediateSize = 1024, VocabularySize = 512, MaxPositions = Rows,
            QueryPreAttentionScalar = 64, AttentionSoftcap = 50, SlidingWindow = 4096, RopeTheta = 10000, RmsNormEpsilon = 1e-6f,
        };
        using (var model = new SyntheticModel(device, config, new LoadSettings(weights, Compute: compute), TestContext.Current.CancellationToken))
        {
            model.LastHidden(Packer.Pack([SyntheticModel.TokenIds(0, Rows, config.VocabularySize)], Rows).Single());
        }

        // A device's scratch is no tensor (MemoryLimitTests count it). Lists of rows, and paddings, are not counted.
        long count = ModelMemory.OfBackbone(config, weights).On(device.Info with { Scratch = default }, config, weights, compute).Total(Rows);
        Assert.InRange(device.PeakAllocatedBytes - before, count * 0.99, count * 1.03);
    }
}
