using Silk.NET.Vulkan;
using Buffer = Silk.NET.Vulkan.Buffer;

namespace LdlVk.Vulkan;

/// <summary>
/// Host-visible chunks through which all data enters and leaves the device. Uploads fill a chunk one behind the other, so that the few
/// small ones of a batch cost no wait; a full chunk is handed to the device at once, which copies from it while the host fills the next.
/// A chunk is used again once the device has passed the timeline value of its last copy, so staging memory never grows.
/// </summary>
internal sealed unsafe class StagingRing(Vk api, Device device, PhysicalDeviceFacts facts, CommandStream stream) : IDisposable
{
    /// <summary>Large enough that a copy runs at full bus speed, small enough that a ring costs no one 100 MB.</summary>
    public const int ChunkBytes = 16 << 20;

    /// <summary>Uploads start on cache lines.</summary>
    public const int Alignment = 64;

    private const int Chunks = 3;
    private const MemoryPropertyFlags Mappable = MemoryPropertyFlags.HostVisibleBit | MemoryPropertyFlags.HostCoherentBit;

    private readonly Chunk?[] _upload = new Chunk?[Chunks];
    private Chunk? _download;
    private int _current;

    private sealed record Chunk(DeviceMemory Memory, Buffer Buffer, nint Mapped)
    {
        public int Used { get; set; }
        public ulong BusyUntil { get; set; }
    }

    public delegate void Fill<TState>(Span<byte> bytes, TState state) where TState : allows ref struct;

    public delegate void Drain<TState>(ReadOnlySpan<byte> bytes, TState state) where TState : allows ref struct;

    /// <summary>Lets <paramref name="fill"/> write up to <see cref="ChunkBytes"/> bytes and records their copy to the device.</summary>
    public void Upload<TState>(Allocation target, ulong offset, int bytes, TState state, Fill<TState> fill) where TState : allows ref struct
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, ChunkBytes);
        Chunk chunk = ChunkWithRoomFor(bytes);
        fill(new Span<byte>((void*)(chunk.Mapped + chunk.Used), bytes), state);
        var region = new BufferCopy((ulong)chunk.Used, target.Offset + offset, (ulong)bytes);
        api.CmdCopyBuffer(stream.Next(), chunk.Buffer, target.Block.Buffer, 1, in region);
        chunk.BusyUntil = stream.Pending;
        chunk.Used += (bytes + Alignment - 1) / Alignment * Alignment;
    }

    /// <summary>
    /// Lets <paramref name="drain"/> read up to <see cref="ChunkBytes"/> bytes of the device's memory once all commands so far are done;
    /// waits for them.
    /// </summary>
    public void Download<TState>(Allocation source, ulong offset, int bytes, TState state, Drain<TState> drain) where TState : allows ref struct
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, ChunkBytes);
        _download ??= Create(Mappable | MemoryPropertyFlags.HostCachedBit, Mappable);
        var region = new BufferCopy(source.Offset + offset, 0, (ulong)bytes);
        api.CmdCopyBuffer(stream.Next(), source.Block.Buffer, _download.Buffer, 1, in region);
        stream.Finish();
        drain(new ReadOnlySpan<byte>((void*)_download.Mapped, bytes), state);
    }

    public void Dispose()
    {
        foreach (Chunk? chunk in _upload.Append(_download))
            if (chunk is not null) Destroy(chunk.Memory, chunk.Buffer);
    }

    private Chunk ChunkWithRoomFor(int bytes)
    {
        if (_upload[_current] is { } current)
        {
            if (current.Used + bytes <= ChunkBytes) return current;
            stream.Submit();
            _current = (_current + 1) % Chunks;
        }

        Chunk next = _upload[_current] ??= Create(Mappable);
        stream.Wait(next.BusyUntil);
        next.Used = 0;
        return next;
    }

    private Chunk Create(params ReadOnlySpan<MemoryPropertyFlags> wanted)
    {
        (DeviceMemory memory, Buffer buffer) = MemoryAllocator.CreateBuffer(api, device, facts, ChunkBytes,
            BufferUsageFlags.TransferSrcBit | BufferUsageFlags.TransferDstBit, wanted, () => $" ({ChunkBytes >> 20} MiB of staging memory)");
        void* mapped;
        Result result = api.MapMemory(device, memory, 0, Vk.WholeSize, 0, &mapped);
        if (result != Result.Success) Destroy(memory, buffer);
        result.Check("vkMapMemory");
        return new Chunk(memory, buffer, (nint)mapped);
    }

    private void Destroy(DeviceMemory memory, Buffer buffer)
    {
        api.DestroyBuffer(device, buffer, null);
        api.FreeMemory(device, memory, null);
    }
}
