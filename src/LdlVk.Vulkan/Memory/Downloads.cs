using LdlVk.Runtime.Devices;
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
    /// Stands for all chunks where hazards are looked for: a chunk that was given back unread may still be written to. No memory has an
    /// address this low, and if some had, it would cost a barrier.
    /// </summary>
    private static readonly MemoryRange Chunks = new(0, 1);

    /// <summary>Records the copy of up to <see cref="StagingRing.ChunkBytes"/> bytes.</summary>
    public HostBuffer Begin(Allocation source, ulong offset, int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, StagingRing.ChunkBytes);
        if (!_idle.TryPop(out HostBuffer? chunk))
        {
            chunk = HostBuffer.Create(api, device, facts, StagingRing.ChunkBytes, "downloads", [], HostBuffer.Mappable | MemoryPropertyFlags.HostCachedBit, HostBuffer.Mappable);
            _all.Add(chunk);
        }

        try
        {
            CommandBuffer commands = stream.Next(Work.Elementwise("Read", 1, bytes / sizeof(float)), [new MemoryRange(source.Address + offset, (ulong)bytes)], [Chunks]);
            var region = new BufferCopy(source.Offset + offset, 0, (ulong)bytes);
            api.CmdCopyBuffer(commands, source.Block.Buffer, chunk.Buffer, 1, in region);
            return chunk;
        }
        catch
        {
            _idle.Push(chunk);
            throw;
        }
    }

    /// <summary>Gives a chunk back.</summary>
    public void End(HostBuffer chunk) => _idle.Push(chunk);

    public void Dispose()
    {
        foreach (HostBuffer chunk in _all) chunk.Dispose();
    }
}

/// <summary>A tensor's values on their way: chunks of whole rows, padding included, all there when the timeline reaches a value.</summary>
internal sealed class VulkanReadback(VulkanDevice device, IVulkanTensor source) : IReadback
{
    private readonly Queue<(HostBuffer Chunk, int Rows)> _chunks = new();

    public ulong ReadyAt { get; set; }

    public void Add(HostBuffer chunk, int rows) => _chunks.Enqueue((chunk, rows));

    public void Finish(Span<float> destination)
    {
        OpChecks.Read(source, destination.Length);
        device.WaitFor(this);
        int done = 0, columns = source.Columns, stride = source.Stride;
        foreach ((HostBuffer chunk, int rows) in _chunks)
        {
            ReadOnlySpan<float> padded = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(chunk.Bytes);
            for (int row = 0; row < rows; row++, done += columns) padded.Slice(row * stride, columns).CopyTo(destination[done..]);
        }
    }

    public void Dispose()
    {
        while (_chunks.TryDequeue(out (HostBuffer Chunk, int Rows) part)) device.End(part.Chunk);
    }
}
