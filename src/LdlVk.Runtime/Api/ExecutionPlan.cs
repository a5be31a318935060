using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Caching;

namespace LdlVk;

/// <summary>What a device does in a plan, and what that takes.</summary>
/// <param name="Device">The device.</param>
/// <param name="Layers">Its layers.</param>
/// <param name="Budget">Bytes of its memory that the plan may use.</param>
/// <param name="WeightBytes">Bytes of the weights that stay there: layers, tables, heads.</param>
/// <param name="SlotBytes">Bytes of the memory that streamed layers take turns in.</param>
/// <param name="ActivationBytes">Bytes of activations.</param>
/// <param name="StreamedBytes">Bytes brought to the device for each wave.</param>
/// <param name="Seconds">Expected time for a wave, and for the uploads it must hide; null where the device's speed is not known.</param>
public sealed record StagePlan(
    DeviceInfo Device, StageLayers Layers, long Budget, long WeightBytes, long SlotBytes, long ActivationBytes, long StreamedBytes,
    StageTime? Seconds)
{
    /// <summary>Bytes that the prompt cache may take here.</summary>
    public long CacheBytes { get; init; }

    /// <summary>Bytes of device memory it is expected to take.</summary>
    public long Bytes => WeightBytes + SlotBytes + ActivationBytes + CacheBytes;
}

/// <summary>Expected seconds of a stage.</summary>
/// <param name="Computing">For the products of a wave.</param>
/// <param name="Uploading">For the layers that are brought in meanwhile.</param>
public readonly record struct StageTime(double Computing, double Uploading)
{
    /// <summary>The longer of the two.</summary>
    public double Longer => Math.Max(Computing, Uploading);
}

/// <summary>Which layers live where, and how texts go through them.</summary>
/// <param name="Weights">Format of the layers' matrices.</param>
/// <param name="BatchTokens">Tokens of a micro-batch.</param>
/// <param name="WaveTokens">
/// Tokens of a wave: of the micro-batches that meet a streamed layer while it is on its device; where none is streamed, of those that share
/// a prefix.
/// </param>
/// <param name="Stages">The devices, in the order of their layers.</param>
/// <param name="Notes">What would make it better, and what the user should know.</param>
public sealed record ExecutionPlan(
    WeightFormat Weights, int BatchTokens, int WaveTokens, IReadOnlyList<StagePlan> Stages, IReadOnlyList<Notice> Notes)
{
    /// <summary>Micro-batches are not made smaller than this for the sake of several devices: the products would lose more speed.</summary>
    private const int MinTokens = 512;

    /// <summary>Tokens whose keys and values the prompt cache has room for; 0 for no cache.</summary>
    public int CacheTokens { get; init; }

    /// <summary>Tokens whose keys and values have room in host memory when they must leave the devices; 0 for none.</summary>
    public int HostCacheTokens { get; init; }

    /// <summary>Bytes of host memory that they may take. It is taken as it is needed.</summary>
    public long HostCacheBytes { get; init; }

    /// <summary>Whether some layers are brought to their device when their turn comes.</summary>
    public bool Streams => Stages.Any(s => s.Layers.Streamed > 0);

    /// <summary>
    /// Packs texts as the plan wants them. For several devices a few texts make smaller micro-batches, so that each device has work while
    /// the others do: four a device, of which two keep 0.89 of their time busy.
    /// </summary>
    /// <param name="texts">The texts.</param>
    /// <param name="sharePrefixes">Whether equal beginnings are computed once.</param>
    /// <param name="cache">Where beginnings are that earlier waves computed; null for none.</param>
    public IEnumerable<Wave> Pack(IReadOnlyList<PackedText> texts, bool sharePrefixes, PromptCache? cache = null)
    {
        int batchTokens = BatchTokens;
        if (Stages.Count > 1 && !Streams)
        {
            long tokens = texts.Sum(text => (long)text.Ids.Length);
            batchTokens = (int)Math.Clamp(tokens / (4 * Stages.Count), Math.Min(MinTokens, BatchTokens), BatchTokens);
        }

        IEnumerable<Wave> waves = Packer.PackWaves(texts, batchTokens, WaveTokens, sharePrefixes, cache);
        // Layers that stay need no wave; without one the first results come sooner.
        return Streams ? waves : waves.SelectMany(wave => wave.Chains()).Select(chain => new Wave(chain));
    }

    /// <summary>Expected tokens per second over many waves; null where a device's speed is not known.</summary>
    public double? TokensPerSecond => Stages.All(s => s.Seconds is not null) ? WaveTokens / Stages.Max(s => s.Seconds!.Value.Longer) : null;
}
