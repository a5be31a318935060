using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Ops;

/// <summary>The parts of a device that every op uses: its operands' own types, the command stream, the pipelines.</summary>
internal sealed class OpContext(Ownership own, PhysicalDeviceFacts facts, CommandStream stream, ComputePipelines pipelines)
{
    /// <summary>The device that the ops belong to.</summary>
    public VulkanDevice Device => own.Device;

    /// <summary>Gives operands their own types.</summary>
    public Ownership Own => own;

    public PhysicalDeviceFacts Facts => facts;

    /// <summary>
    /// Operations of one dispatch of an op that can be split; null follows the device's measured speed. Tests make it small.
    /// </summary>
    public double? OperationsPerDispatch { get; set; }

    /// <summary>
    /// Records a dispatch of a kernel that loops if it needs more workgroups than <see cref="KernelLimits.MaxGroups"/>, as all kernels do
    /// except those of products and attention. Nothing is recorded for an empty grid.
    /// </summary>
    public void DispatchLooping(
        string shader, ReadOnlySpan<uint> constants, scoped in PushConstants push, int x, int y, in Work work,
        ReadOnlySpan<MemoryRange> reads, ReadOnlySpan<MemoryRange> writes, uint subgroupSize = 0)
    {
        if (x == 0 || y == 0) return;
        CommandBuffer commands = stream.Next(work, reads, writes);
        int columns = Math.Min(x, KernelLimits.MaxGroups), rows = Math.Min(y, KernelLimits.MaxGroups);
        pipelines.Dispatch(commands, shader, constants, push, columns, rows, subgroupSize: subgroupSize);
    }

    /// <summary>Records a dispatch of exactly x·y·z workgroups.</summary>
    public void Dispatch(
        string shader, ReadOnlySpan<uint> constants, scoped in PushConstants push, (int X, int Y, int Z) groups, uint subgroupSize,
        in Work work, ReadOnlySpan<MemoryRange> reads, ReadOnlySpan<MemoryRange> writes)
    {
        CommandBuffer commands = stream.Next(work, reads, writes);
        pipelines.Dispatch(commands, shader, constants, push, groups.X, groups.Y, groups.Z, subgroupSize);
    }

    /// <summary>
    /// How many items one dispatch takes: whole groups of them, within the work of one submission and the limit on workgroups. A driver
    /// resets a GPU on which one dispatch runs for seconds.
    /// </summary>
    public int ItemsPerDispatch(int perGroup, double operationsPerItem)
    {
        double items = (OperationsPerDispatch ?? stream.Budget) / Math.Max(1, operationsPerItem);
        return perGroup * (int)Math.Clamp(items / perGroup, 1, KernelLimits.MaxGroups);
    }

    /// <summary>The number of groups of a size for so many items.</summary>
    public static int Groups(int count, int size) => (int)(((long)count + size - 1) / size);
}
