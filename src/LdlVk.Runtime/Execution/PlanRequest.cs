using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>What a plan is made from.</summary>
/// <param name="Config">The model's shape.</param>
/// <param name="Memory">What it needs, in the chosen formats.</param>
/// <param name="Weights">Format of the layers' matrices.</param>
/// <param name="Devices">The devices, in the order of their layers; a device can be listed twice.</param>
public sealed record PlanRequest(BackboneConfig Config, ModelMemory Memory, WeightFormat Weights, IReadOnlyList<DeviceInfo> Devices)
{
    /// <summary>Tokens of a micro-batch; fewer if memory is short.</summary>
    public required int BatchTokens { get; init; }

    /// <summary>How products are computed.</summary>
    public ComputeMode Compute { get; init; }

    /// <summary>Layers of each device, as the user wants them; null to divide them by speed and memory.</summary>
    public IReadOnlyList<int>? Split { get; init; }

    /// <summary>Bytes that may be used of each device's memory; empty for what is free.</summary>
    public IReadOnlyList<long> MemoryLimits { get; init; } = [];

    /// <summary>
    /// Bytes of the prompt cache on all devices together; 0 for none, null for a part of what the model leaves free.
    /// </summary>
    public long? CacheBytes { get; init; } = 0;

    /// <summary>
    /// Bytes of host memory for what must leave the prompt cache; 0 for none, null for a part of what is free where devices have memory of
    /// their own.
    /// </summary>
    public long? HostCacheBytes { get; init; } = 0;

    /// <summary>
    /// Bytes of host memory that streamed layers, the prompt cache and devices without memory of their own may take together.
    /// </summary>
    public long FreeHostBytes { get; init; }

    /// <summary>Measures a device; called only if the plan depends on its speed.</summary>
    public Func<DeviceInfo, DeviceSpeed?> Speed { get; init; } = _ => null;

    /// <summary>Bytes of host memory for streamed layers; 0 if the checkpoint has them in the device's format.</summary>
    public long HostBytes { get; init; }

    /// <summary>What the model needs on one of the devices.</summary>
    public ModelMemory MemoryOn(int device) => Memory.On(Devices[device], Config, Weights, Compute);
}
