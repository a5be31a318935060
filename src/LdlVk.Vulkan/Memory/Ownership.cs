using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;

namespace LdlVk.Vulkan.Memory;

/// <summary>Checks that what a caller passes belongs to this device, and that neither is disposed.</summary>
internal sealed class Ownership(VulkanDevice device)
{
    /// <summary>A tensor that will be read.</summary>
    public IVulkanTensor Input(ITensor tensor) => tensor is IVulkanTensor own && IsOwn(own.Owner) ? own : throw Foreign("tensor");

    /// <summary>A tensor that will be written; rows of it that were converted to operands are out of date from now on.</summary>
    public IVulkanTensor Output(ITensor tensor)
    {
        IVulkanTensor own = Input(tensor);
        own.Owner.ConvertedRows = default;
        return own;
    }

    public VulkanWeight Weight(IWeight weight) => weight is VulkanWeight own && IsOwn(own) ? own : throw Foreign("weight");

    public VulkanIndices Indices(IIndexList indices) => indices is VulkanIndices own && IsOwn(own) ? own : throw Foreign("index list");

    public VulkanSegments Segments(ISegmentList segments) =>
        segments is VulkanSegments own && IsOwn(own) ? own : throw Foreign("segment list");

    private bool IsOwn(VulkanMemory memory)
    {
        device.ThrowIfDisposed();
        return memory.Device == device;
    }

    private static ArgumentException Foreign(string what) => new($"The {what} belongs to another device.");
}
