using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Device;
using Silk.NET.Vulkan;
using Buffer = Silk.NET.Vulkan.Buffer;

namespace LdlVk.Vulkan.Memory;

/// <summary>
/// Host-visible chunks through which data reaches the device. Uploads fill a chunk one after the other, so that the few small ones of a
/// batch cost little. A full chunk is submitted at once: the device copies from it while the host fills the next. A chunk is used again
/// once the device has reached the timeline value of its last copy.
/// <para>
/// Where the device has a queue for copies, weights have a ring of their own on it. The data of a batch (token rows, indices) is copied in
/// order with everything else, since earlier commands still use its target. Unless device memory is limited, each chunk of that ring has a
/// twin in device memory: the copy queue moves the bytes over the bus into the twin while the device computes, and the compute queue moves
/// them from the twin to their target at the speed of device memory. The host fills a chunk again only when its twin has been read. While
/// weights are being copied no twin is used: the copy queue would first copy the weights, which may wait for much of the computation.
/// </para>
/// <para>
/// Buffers that both queues use are shared between the families (CONCURRENT). For buffers that costs nothing on any known driver, and it
/// saves barriers on both queues for each upload.
/// </para>
/// </summary>
/// <param name="api">The loader.</param>
/// <param name="device">The device.</param>
/// <param name="facts">Its properties.</param>
/// <param name="stream">The stream that the copies are recorded into.</param>
/// <param name="copies">The stream that fills twins; null for none.</param>
/// <param name="families">The families of the queues.</param>
/// <param name="budget">Counts the memory of twins.</param>
internal sealed unsafe class StagingRing(
    Vk api, VkDevice device, PhysicalDeviceFacts facts, CommandStream stream, CommandStream? copies, uint[] families, MemoryBudget budget)
    : IDisposable
{
    /// <summary>Large enough for a copy at full bus speed, small enough that a usual ring takes less than 100 MB.</summary>
    public const int ChunkBytes = 16 << 20;

    /// <summary>Uploads start on cache lines.</summary>
    public const int Alignment = 64;

    /// <summary>Number of chunks that keeps both the host and the device busy while weights are loaded.</summary>
    private const int UsualChunks = 3;

    /// <summary>
    /// Number of chunks at most. The embeddings of a batch of 4096 tokens of the 27B model take 4½, which wait on the device for the
    /// previous batch; if the host waited for a free chunk, it could not prepare the batch meanwhile.
    /// </summary>
    private const int MaxChunks = 12;

    private readonly List<Chunk> _chunks = [];
    private int _current;

    /// <summary>The value of the copies' timeline at which the copies of weights are done.</summary>
    public ulong WeightsUntil { get; set; }

    private sealed record Chunk(HostBuffer Host, DeviceMemory TwinMemory, Buffer Twin)
    {
        public int Used { get; set; }
        public ulong BusyUntil { get; set; }
    }

    public delegate void Fill<TState>(Span<byte> bytes, TState state) where TState : allows ref struct;

    /// <summary>
    /// Lets <paramref name="fill"/> write up to <see cref="ChunkBytes"/> bytes into a chunk, and records their copy to the device.
    /// </summary>
    /// <param name="target">The memory to copy to.</param>
    /// <param name="shared">The uses of the target, if other streams use it too; else null.</param>
    /// <param name="offset">Byte offset in the target.</param>
    /// <param name="bytes">Number of bytes.</param>
    /// <param name="mayWait">Whether to wait for a free chunk once there are <see cref="UsualChunks"/>; else another chunk is made.</param>
    /// <param name="state">Passed to <paramref name="fill"/>.</param>
    /// <param name="fill">Writes the bytes.</param>
    public void Upload<TState>(
        Allocation target, SharedUse? shared, ulong offset, int bytes, bool mayWait, TState state, Fill<TState> fill)
        where TState : allows ref struct
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, ChunkBytes);
        Chunk chunk = ChunkWithRoomFor(bytes, mayWait);
        fill(chunk.Host.Bytes.Slice(chunk.Used, bytes), state);
        MemoryRange written = new(target.Address + offset, (ulong)bytes, shared);
        CommandBuffer commands = stream.Next(Work.Elementwise("Upload", 1, bytes / sizeof(float)), [], [written]);
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
            // Once the device has copied it, the chunk is filled from its start again: small uploads stay in memory that the caches hold.
            if (current.Used > 0 && stream.Reached(current.BusyUntil)) current.Used = 0;
            if (current.Used + bytes <= ChunkBytes) return current;
            stream.Submit();
        }

        // The next chunk of the ring has been in use for the longest time.
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

    /// <summary>Makes a chunk; null if there is no memory for it, but another chunk to wait for.</summary>
    private Chunk? TryCreate()
    {
        HostBuffer? host = null;
        try
        {
            host = HostBuffer.Create(api, device, facts, ChunkBytes, "uploads", families, HostBuffer.Mappable);
            (DeviceMemory memory, Buffer twin, _, _) = copies is null || budget.Limit is not null ? default : MemoryAllocator.CreateBuffer(
                api, device, facts, ChunkBytes, BufferUsageFlags.TransferSrcBit | BufferUsageFlags.TransferDstBit,
                [MemoryPropertyFlags.DeviceLocalBit], () => $" ({ChunkBytes >> 20} MiB for uploads)", families, budget);
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
