using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Ops;
using Silk.NET.Vulkan;
using Buffer = Silk.NET.Vulkan.Buffer;

namespace LdlVk.Vulkan.Memory;

/// <summary>Brings weights to the device by the shortest way for their source and memory, and pins them in host memory.</summary>
internal sealed unsafe class WeightFiller(VulkanDevice device, DeviceResources resources, RandomFill random)
{
    public void Fill(IWeight weight, IWeightSource source, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        OpChecks.Fill(device, weight, source);
        VulkanWeight w = device.Own.Weight(weight);
        cancellationToken.ThrowIfCancellationRequested();
        // The device computes while the host reads rows, and the commands that copies wait for are submitted.
        resources.Stream.Submit();
        if (source is RandomWeightSource made) random.Record(made, w);
        else if (source is VulkanHostWeight pinned && pinned.Device == device) CopyPinned(pinned, w, progress);
        else if (w.Allocation.IsMapped) WriteMapped(source, w, progress, cancellationToken);
        else new WeightUpload(resources.WeightStaging, source, w).Run(progress, cancellationToken);
        w.Scale = source.Scale;
        resources.Staging.WeightsUntil = w.Shared?.Copied ?? 0;
        (resources.Copies ?? resources.Stream).Submit();
    }

    public VulkanHostWeight Pin(IWeightSource source, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        device.ThrowIfDisposed();
        ulong bytes = KernelLimits.WeightBytes(source.Name, source.Format, source.OutputFeatures, source.InputFeatures);
        HostBuffer memory = resources.Pinned.Allocate(bytes, source.Name);
        try
        {
            var scales = (Half*)(memory.Mapped + VulkanWeight.ScalesOffset(source.Format, source.OutputFeatures, source.InputFeatures));
            WeightRows.ReadAll(source, memory.Mapped, scales, Environment.ProcessorCount, progress, cancellationToken);
            return new VulkanHostWeight(device, memory, source);
        }
        catch
        {
            resources.Pinned.Free(memory, bytes, 0);
            throw;
        }
    }

    /// <summary>
    /// Writes rows where the device reads them. The host waits until the device is done with what used the memory before. What comes after
    /// needs no barrier: a submission sees what the host wrote to coherent memory before it (Vulkan specification, Host Write Ordering
    /// Guarantees).
    /// </summary>
    private void WriteMapped(IWeightSource source, VulkanWeight target, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        resources.Stream.Wait(target.Shared!.Computed);
        byte* values = target.Allocation.Mapped;
        var scales = (Half*)(values + VulkanWeight.ScalesOffset(source.Format, source.OutputFeatures, source.InputFeatures));
        WeightRows.ReadAll(source, values, scales, Environment.ProcessorCount, progress, cancellationToken);
    }

    private void CopyPinned(VulkanHostWeight source, VulkanWeight target, IProgress<long>? progress)
    {
        CommandStream stream = resources.Copies ?? resources.Stream;
        Allocation memory = target.Allocation;
        Buffer from = source.Memory.Buffer;
        var region = new BufferCopy(0, memory.Offset, (ulong)source.Bytes);
        CommandBuffer commands = stream.Next(Work.Elementwise("Fill", 1, source.Bytes / sizeof(float)), [], [target.Memory]);
        resources.Api.CmdCopyBuffer(commands, from, memory.Block.Buffer, 1, in region);
        source.BusyUntil = stream.Pending;
        progress?.Report(source.Bytes);
    }
}
