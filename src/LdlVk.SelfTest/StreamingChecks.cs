using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;

namespace LdlVk.SelfTest;

/// <summary>A small model gives the same bits, whether its layers stay on the device or are streamed, and over one queue or two.</summary>
internal static class StreamingChecks
{
    private const string Op = "Streaming";

    /// <summary>Each kind of layer twice, so that a streamed layer replaces another one of its kind.</summary>
    private static readonly BackboneConfig Config = new()
    {
        Architecture = Architecture.Gemma2,
        HiddenSize = 192, Layers = 5, Heads = 2, KeyValueHeads = 1, HeadDimension = 64, IntermediateSize = 320, VocabularySize = 128,
        MaxPositions = 256, RmsNormEpsilon = 1e-6f, RopeTheta = 10000, QueryPreAttentionScalar = 64, AttentionSoftcap = 50,
        SlidingWindow = 64,
    };

    /// <summary>
    /// The checks of a device. A quick run streams with its usual queues only: another way to open it takes a card some tenths of a second.
    /// </summary>
    public static IEnumerable<OpCheck> For(IDevice device, bool quick)
    {
        foreach (WeightFormat format in quick ? [WeightFormat.Fp16] : Enum.GetValues<WeightFormat>())
        {
            string name = format.ToString().ToLowerInvariant();
            yield return new OpCheck(Op, $"{name}, layers streamed and not", o => Compare(o.Device, o.Device, format));
            if (quick || device is not ISelfTestedDevice tested) continue;
            yield return new OpCheck(Op, $"{name}, one queue", _ => Compare(device, tested, Reopening.OneQueue, format));
            yield return new OpCheck(Op, $"{name}, two queues", _ => Compare(device, tested, Reopening.TwoQueues, format));
        }
    }

    private static (double, string?) Compare(IDevice device, ISelfTestedDevice tested, Reopening reopening, WeightFormat format)
    {
        using IDevice? other = tested.Reopen(reopening);
        return other is null ? (0, null) : Compare(device, other, format);
    }

    /// <summary>All layers on one device, and all but one streamed to another.</summary>
    private static (double, string?) Compare(IDevice resident, IDevice streaming, WeightFormat format)
    {
        Matrix kept = Run(resident, new StageLayers(0, Config.Layers), format);
        foreach (bool inHostMemory in (bool[])[true, false])
        {
            Matrix streamed = Run(streaming, new StageLayers(0, Config.Layers, Config.Layers - 1, Slots: 2, inHostMemory), format);
            if (ErrorBounds.SameBits(streamed, kept) is { } fault)
                return (0, $"streamed from {(inHostMemory ? "host memory" : "their source")}: {fault}");
        }

        return (0, null);
    }

    private static Matrix Run(IDevice device, StageLayers layers, WeightFormat format)
    {
        using SyntheticModel model = new([new PlacedStage(device, layers)], Config, new LoadSettings(format));
        MicroBatch[] batches =
        [
            .. Packer.Pack([SyntheticModel.TokenIds(0, 70, 128), SyntheticModel.TokenIds(1, 9, 128)], 128, sharePrefixes: true),
            .. Packer.Pack([SyntheticModel.TokenIds(2, 40, 128)], 128, sharePrefixes: true),
        ];
        float[] hidden = model.LastHidden(new Wave(batches));
        Matrix result = new(hidden.Length / Config.HiddenSize, Config.HiddenSize);
        hidden.CopyTo(result.Data, 0);
        return result;
    }
}
