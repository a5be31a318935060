using LdlVk.Runtime;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Device;
using Silk.NET.Vulkan;
using Buffer = Silk.NET.Vulkan.Buffer;

namespace LdlVk.Vulkan.Memory;

/// <summary>
/// Host-visible chunks through which data reaches the device. Uploads fill a chunk one behind the other, so that the few small ones of a
/// batch cost little; a full chunk is handed to the device at once, which copies from it while the host fills the next. A chunk is used
/// again once the device has passed the timeline value of its last copy.
/// <para>
/// Where the device has a queue for copies alone, weights have a ring of their own on it. What batches bring (token rows, indices) is
/// copied in order with everything else: its target is memory that earlier commands still use. Unless device memory is limited, each
/// chunk of that ring has a twin there: the copy queue brings the bytes over the bus while the device computes, and the compute queue
/// moves them from the twin to their place at the speed of device memory. A chunk that the host may fill again is one whose twin has been
/// read. Behind weights no twin is used: the copy queue would bring those first, which may wait for much of what is computed.
/// </para>
/// <para>
/// Buffers that both queues use are shared between the families (CONCURRENT), which for buffers costs nothing on any driver known, and
/// saves barriers on both queues for each upload.
/// </para>
/// </summary>
/// <param name="api">The loader.</param>
/// <param name="device">The device.</param>
/// <param name="facts">What it is.</param>
/// <param name="stream">The stream in whose order the copies are.</param>
/// <param name="copies">The stream that fills twins; null for none.</param>
/// <param name="families">The families of the queues.</param>
/// <param name="budget">Where twins are counted.</param>
internal sealed unsafe class StagingRing(Vk api, VkDevice device, PhysicalDeviceFacts facts, CommandStream stream, CommandStream? copies, uint[] families, MemoryBudget budget)
    : IDisposable
{
    /// <summary>Large enough that a copy runs at full bus speed, small enough that a ring costs no one 100 MB.</summary>
    public const int ChunkBytes = 16 << 20;

    /// <summary>Uploads start on cache lines.</summary>
    public const int Alignment = 64;

    /// <summary>Chunks with which loading keeps both the host and the device busy.</summary>
    private const int UsualChunks = 3;

    /// <summary>
    /// Chunks there may be at most: the embeddings of a batch of 4096 tokens of the 27B model take 4½, which wait on the device for the
    /// batch before; a host that waited for them could not prepare the batch.
    /// </summary>
    private const int MaxChunks = 12;

    private readonly List<Chunk> _chunks = [];
    private int _current;

    /// <summary>The value of the copies' timeline until which weights are under way.</summary>
    public ulong WeightsUntil { get; set; }

    private sealed record Chunk(HostBuffer Host, DeviceMemory TwinMemory, Buffer Twin)
    {
        public int Used { get; set; }
        public ulong BusyUntil { get; set; }
    }

    public delegate void Fill<TState>(Span<byte> bytes, TState state) where TState : allows ref struct;

    /// <summary>Lets <paramref name="fill"/> write up to <see cref="ChunkBytes"/> bytes and records their copy to the device.</summary>
    /// <param name="target">Where to.</param>
    /// <param name="shared">Who else uses the target, if it is not this stream alone.</param>
    /// <param name="offset">Where in it.</param>
    /// <param name="bytes">How many.</param>
    /// <param name="mayWait">Whether to wait for a free chunk where there are enough for a steady flow, or rather to take another.</param>
    /// <param name="state">What <paramref name="fill"/> needs.</param>
    /// <param name="fill">Writes the bytes.</param>
    public void Upload<TState>(Allocation target, SharedUse? shared, ulong offset, int bytes, bool mayWait, TState state, Fill<TState> fill) where TState : allows ref struct
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, ChunkBytes);
        Chunk chunk = ChunkWithRoomFor(bytes, mayWait);
        fill(chunk.Host.Bytes.Slice(chunk.Used, bytes), state);
        CommandBuffer commands = stream.Next(Work.Elementwise("Upload", 1, bytes / sizeof(float)), [], [new MemoryRange(target.Address + offset, (ulong)bytes, shared)]);
        Buffer source = chunk.Host.Buffer;
        if (chunk.Twin.Handle != 0 && copies!.Reached(WeightsUntil))
        {
            var across = new BufferCopy((ulong)chunk.Used, (ulong)chunk.Used, (ulong)bytes);
            api.CmdCopyBuffer(copies.Next(new Work("Upload", 1, bytes, 0), [], []), chunk.Host.Buffer, chunk.Twin, 1, in across);
            stream.Await(copies, copies.Pending);
            source = chunk.Twin;
        }

        var region = new BufferCopy((ulong)chunk.Used, target.Offset + offset, (ulong)bytes);
        api.CmdCopyBuffer(commands, source, target.Block.Buffer, 1, in region);
        chunk.BusyUntil = stream.Pending;
        chunk.Used += (bytes + Alignment - 1) / Alignment * Alignment;
    }

    public void Dispose()
    {
        foreach (Chunk chunk in _chunks) Destroy(chunk);
    }

    private Chunk ChunkWithRoomFor(int bytes, bool mayWait)
    {
        if (_chunks.Count > 0)
        {
            Chunk current = _chunks[_current];
            // What the device has copied may be written over: small uploads stay in memory that is in the caches already.
            if (current.Used > 0 && stream.Reached(current.BusyUntil)) current.Used = 0;
            if (current.Used + bytes <= ChunkBytes) return current;
            stream.Submit();
        }

        // The next in the ring is the one longest in use.
        int next = _chunks.Count == 0 ? 0 : (_current + 1) % _chunks.Count;
        bool free = _chunks.Count > 0 && stream.Reached(_chunks[next].BusyUntil);
        if (!free && _chunks.Count < (mayWait ? UsualChunks : MaxChunks) && TryCreate() is { } fresh)
        {
            next = _chunks.Count == 0 ? 0 : _current + 1;
            _chunks.Insert(next, fresh);
        }

        _current = next;
        stream.Wait(_chunks[next].BusyUntil);
        _chunks[next].Used = 0;
        return _chunks[next];
    }

    /// <summary>Null if there is no memory for another chunk, and one to wait for.</summary>
    private Chunk? TryCreate()
    {
        HostBuffer? host = null;
        try
        {
            host = HostBuffer.Create(api, device, facts, ChunkBytes, "uploads", families, HostBuffer.Mappable);
            (DeviceMemory memory, Buffer twin, _, _) = copies is null || budget.Limit is not null ? default : MemoryAllocator.CreateBuffer(api, device, facts, ChunkBytes,
                BufferUsageFlags.TransferSrcBit | BufferUsageFlags.TransferDstBit, [MemoryPropertyFlags.DeviceLocalBit],
                () => $" ({ChunkBytes >> 20} MiB for uploads)", families, budget);
            return new Chunk(host, memory, twin);
        }
        catch (DeviceException e)
        {
            host?.Dispose();
            if (e.Failure == DeviceFailure.OutOfMemory && _chunks.Count > 0) return null;
            throw;
        }
    }

    private void Destroy(Chunk chunk)
    {
        chunk.Host.Dispose();
        api.DestroyBuffer(device, chunk.Twin, null);
        api.FreeMemory(device, chunk.TwinMemory, null);
    }
}
