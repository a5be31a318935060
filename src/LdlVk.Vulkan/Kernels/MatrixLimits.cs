using LdlVk.Vulkan.Device;

namespace LdlVk.Vulkan.Kernels;

/// <summary>A device's limits for workgroups of kernels that request the size of their subgroups.</summary>
/// <param name="SharedBytes">Shared memory of a workgroup.</param>
/// <param name="Threads">Invocations of a workgroup.</param>
/// <param name="Subgroups">Subgroups of a workgroup (maxComputeWorkgroupSubgroups).</param>
internal readonly record struct MatrixLimits(uint SharedBytes, uint Threads, uint Subgroups)
{
    /// <summary>Those of a device.</summary>
    public static MatrixLimits Of(PhysicalDeviceFacts facts) => new(facts.SharedBytes, facts.MaxThreads, facts.MaxSubgroups);
}
