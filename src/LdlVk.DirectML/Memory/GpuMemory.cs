using LdlVk.DirectML.Interop;

namespace LdlVk.DirectML.Memory;

/// <summary>
/// Makes buffers, counts their bytes, keeps to the limit, and frees them when the device has passed their last use. Each is a resource of
/// its own, which takes whole pages of 64 KiB: the 185 norms of Gemma-2 27B waste 8 MiB of its 14 GB and more, too little to pay for pools.
/// </summary>
/// <param name="device">The device.</param>
/// <param name="limit">Bytes that may be taken; null for what there is.</param>
/// <param name="heap">Where the buffers are: in the device's memory or, with <see cref="HeapType.Custom"/>, in the host's.</param>
internal sealed class GpuMemory(D3D12Device device, long? limit, HeapType heap = HeapType.Default) : IDisposable
{
    private const double MiB = 1 << 20;

    private readonly List<GpuBuffer> _retired = [];
    private readonly HashSet<GpuBuffer> _live = [];

    /// <summary>Bytes taken from the driver, buffers that wait to be freed and the device's own scratch included.</summary>
    public long Held { get; private set; }

    /// <summary>The most that <see cref="Held"/> ever was.</summary>
    public long Peak { get; private set; }

    /// <summary>Makes a buffer with undefined content.</summary>
    /// <param name="bytes">Its size.</param>
    /// <param name="owner">What it is for, in error messages.</param>
    /// <param name="waitAndCollect">Waits for the device and frees what waits to be freed; called before giving up.</param>
    public GpuBuffer Allocate(ulong bytes, string owner, Action waitAndCollect)
    {
        // 256 bytes are the alignment of copies and more than DirectML's 16.
        bytes = Math.Max(256, (bytes + 255) & ~255ul);
        if (Held + (long)bytes > limit) waitAndCollect();
        if (Held + (long)bytes > limit)
            throw new DeviceException(
                $"{owner} needs {bytes / MiB:F1} MiB, but {Held / MiB:F1} MiB of the memory limit of {limit.Value / MiB:F1} MiB are taken. "
                    + $"Raise {OptionName.Memory}, use smaller weights ({OptionName.Weights.Of("int8 or int4")}) or a smaller "
                    + $"{OptionName.BatchTokens}.",
                failure: DeviceFailure.OutOfMemory);
        int result = device.TryCreateBuffer(heap, bytes, out D3D12Resource? resource);
        if (result == HResult.OutOfMemory)
        {
            waitAndCollect();
            result = device.TryCreateBuffer(heap, bytes, out resource);
        }
        if (result == HResult.OutOfMemory)
            throw new DeviceException(
                $"{owner} needs {bytes / MiB:F1} MiB, but the GPU is out of device memory with {Held / MiB:F1} MiB taken here. "
                    + $"Use smaller weights ({OptionName.Weights.Of("int8 or int4")}), a smaller {OptionName.BatchTokens}, or another "
                    + $"device ({OptionName.Device.Of("vulkan:0, cpu")}).",
                failure: DeviceFailure.OutOfMemory);
        if (result < 0) device.Check(result, $"CreateCommittedResource of {bytes / MiB:F1} MiB for {owner}");
        GpuBuffer buffer = new(resource!, bytes);
        _live.Add(buffer);
        Held += (long)bytes;
        Peak = Math.Max(Peak, Held);
        return buffer;
    }

    /// <summary>Frees a buffer when the device has passed its last use.</summary>
    public void Free(GpuBuffer buffer)
    {
        if (_live.Remove(buffer)) _retired.Add(buffer);
    }

    /// <summary>Frees what the device has passed.</summary>
    /// <param name="completed">By the queue that computes.</param>
    /// <param name="copied">By the one that copies.</param>
    public void Collect(ulong completed, ulong copied)
    {
        for (int i = _retired.Count - 1; i >= 0; i--)
        {
            if (_retired[i].BusyUntil > completed || _retired[i].CopiedUntil > copied) continue;
            Held -= (long)_retired[i].Bytes;
            _retired[i].Dispose();
            _retired.RemoveAt(i);
        }
    }

    public void Dispose()
    {
        foreach (GpuBuffer buffer in _retired) buffer.Dispose();
        foreach (GpuBuffer buffer in _live) buffer.Dispose();
        _retired.Clear();
        _live.Clear();
        Held = 0;
    }
}
