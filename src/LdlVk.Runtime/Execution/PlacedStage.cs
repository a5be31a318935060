using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Execution;

/// <summary>A device and the layers that go to it.</summary>
public readonly record struct PlacedStage(IDevice Device, StageLayers Layers);
