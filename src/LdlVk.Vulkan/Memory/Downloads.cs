using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Device;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Memory;

/// <summary>
/// Host-visible chunks through which data leaves the device. A copy is recorded in order with the ops and read later, so that the host
/// can prepare the next batch meanwhile; its chunk then serves the next copy.
/// </summary>
internal sealed unsafe class Downloads(Vk api, VkDevice device, PhysicalDeviceFacts facts, CommandStream stream) : IDisposable
{
    private readonly List<HostBuffer> _all = [];
    private readonly Stack<HostBuffer> _idle = new();

    /// <summary>
    /// Stands for all chunks in the search for hazards, since the device may still write to a chunk that was returned unread. No memory has
    /// an address this low; if some had, it would cost only a barrier.
    /// </summary>
    private static readonly MemoryRange Chunks = new(0, 1);

    /// <summary>Records the copy of up to <see cref="StagingRing.ChunkBytes"/> bytes.</summary>
    public HostBuffer Begin(MemoryRange read, Allocation source)
    {
        int bytes = checked((int)read.Bytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, StagingRing.ChunkBytes);
        if (!_idle.TryPop(out HostBuffer? chunk))
        {
            chunk = HostBuffer.Create(api, device, facts, StagingRing.ChunkBytes, "downloads", [],
                HostBuffer.Mappable | MemoryPropertyFlags.HostCachedBit, HostBuffer.Mappable);
            _all.Add(chunk);
        }

        try
        {
            CommandBuffer commands = stream.Next(Work.Elementwise("Read", 1, bytes / sizeof(float)), [read], [Chunks]);
            var region = new BufferCopy(source.Offset + read.Address - source.Address, 0, read.Bytes);
            api.CmdCopyBuffer(commands, source.Block.Buffer, chunk.Buffer, 1, in region);
            return chunk;
        }
        catch
        {
            _idle.Push(chunk);
            throw;
        }
    }

    /// <summary>Returns a chunk for the next copy.</summary>
    public void End(HostBuffer chunk) => _idle.Push(chunk);

    public void Dispose()
    {
        foreach (HostBuffer chunk in _all) chunk.Dispose();
    }
}
