using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;

namespace LdlVk.Vulkan.Memory;

/// <summary>Gives a device's operands their own types. <see cref="OpChecks"/> has made sure before that they belong to it.</summary>
internal sealed class Ownership(VulkanDevice device)
{
    public VulkanDevice Device => device;

    /// <summary>A tensor that will be read.</summary>
    public IVulkanTensor Input(ITensor tensor) => (IVulkanTensor)tensor;

    /// <summary>A tensor that will be written; rows of it that were converted to operands are out of date from now on.</summary>
    public IVulkanTensor Output(ITensor tensor)
    {
        var own = (IVulkanTensor)tensor;
        own.Owner.SetWritten(own.FirstRow, own.Rows);
        return own;
    }

    public VulkanWeight Weight(IWeight weight) => (VulkanWeight)weight;

    public VulkanIndices Indices(IIndexList indices) => (VulkanIndices)indices;

    public VulkanSegments Segments(ISegmentList segments) => (VulkanSegments)segments;
}
