using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Device;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Memory;

/// <summary>
/// The host memory of pinned weights. Memory that is freed while the device may still copy from it is retired until the timeline has
/// reached its last copy.
/// </summary>
internal sealed unsafe class PinnedWeights(Vk api, VkDevice device, DeviceHandles handles, PhysicalDeviceFacts facts, CommandStream copies)
{
    private readonly List<(HostBuffer Memory, ulong Until)> _retired = [];
    private bool _closed;

    /// <summary>Bytes that weights hold.</summary>
    public long Bytes { get; private set; }

    public HostBuffer Allocate(ulong bytes, string name)
    {
        Collect();
        HostBuffer memory = HostBuffer.Create(api, device, facts, bytes, name, [],
            HostBuffer.Mappable | MemoryPropertyFlags.HostCachedBit, HostBuffer.Mappable);
        Bytes += (long)bytes;
        handles.Hold();
        return memory;
    }

    public void Free(HostBuffer memory, ulong bytes, ulong until)
    {
        Bytes -= (long)bytes;
        if (_closed)
        {
            Destroy(memory);
            return;
        }

        _retired.Add((memory, until));
        try
        {
            Collect();
        }
        catch (DeviceException)
        {
            // A lost device reports that at its next use; retired memory is destroyed when it is closed.
        }
    }

    /// <summary>Called when the device is idle for good: destroys retired memory, and from now on freed memory at once.</summary>
    public void Close()
    {
        _closed = true;
        foreach ((HostBuffer memory, _) in _retired) Destroy(memory);
        _retired.Clear();
    }

    private void Collect() => _retired.RemoveAll(r =>
    {
        if (r.Until >= copies.Pending || !copies.Reached(r.Until)) return false;
        Destroy(r.Memory);
        return true;
    });

    private void Destroy(HostBuffer memory)
    {
        memory.Dispose();
        handles.LetGo();
    }
}
