using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>What a plan is made from.</summary>
/// <param name="Config">The model's shape.</param>
/// <param name="Memory">What it needs, in the chosen formats.</param>
/// <param name="Weights">Format of the layers' matrices.</param>
/// <param name="Devices">The devices, in the order of their layers; one may be there twice.</param>
public sealed record PlanRequest(BackboneConfig Config, ModelMemory Memory, WeightFormat Weights, IReadOnlyList<DeviceInfo> Devices)
{
    /// <summary>Tokens of a micro-batch, unless memory makes it fewer.</summary>
    public required int BatchTokens { get; init; }

    /// <summary>How products are computed.</summary>
    public ComputeMode Compute { get; init; }

    /// <summary>Layers of each device, as the user wants them; null to divide them by speed and memory.</summary>
    public IReadOnlyList<int>? Split { get; init; }

    /// <summary>Bytes that may be used of each device's memory; empty for what is free.</summary>
    public IReadOnlyList<long> MemoryLimits { get; init; } = [];

    /// <summary>Measures a device; asked only where the plan depends on it.</summary>
    public Func<DeviceInfo, DeviceSpeed?> Speed { get; init; } = _ => null;

    /// <summary>Free host memory in which streamed layers may be kept; 0 if they are in the checkpoint as the device needs them.</summary>
    public long HostBytes { get; init; }

    /// <summary>What the model needs on one of the devices.</summary>
    public ModelMemory MemoryOn(int device) => Memory.On(Devices[device], Config, Weights, Compute);
}
