using Silk.NET.Vulkan;
using Buffer = Silk.NET.Vulkan.Buffer;

namespace LdlVk.Vulkan;

/// <summary>
/// Host-visible chunks through which all data enters and leaves the device. A chunk is reused once the device has passed the timeline
/// value of its last use, so the host fills one while the device copies from another, and staging memory never grows.
/// </summary>
internal sealed unsafe class StagingRing : IDisposable
{
    /// <summary>Large enough that a copy runs at full bus speed, small enough that a ring costs no one 100 MB.</summary>
    public const int ChunkBytes = 16 << 20;

    private const int Chunks = 3;

    private readonly Vk _api;
    private readonly Device _device;
    private readonly CommandStream _stream;
    private readonly PhysicalDeviceFacts _facts;
    private readonly Chunk?[] _upload = new Chunk?[Chunks];
    private Chunk? _download;
    private int _next;

    public StagingRing(Vk api, Device device, PhysicalDeviceFacts facts, CommandStream stream) =>
        (_api, _device, _facts, _stream) = (api, device, facts, stream);

    private sealed record Chunk(DeviceMemory Memory, Buffer Buffer, nint Mapped)
    {
        public ulong BusyUntil { get; set; }
    }

    public delegate void Fill<TState>(Span<byte> bytes, TState state) where TState : allows ref struct;

    /// <summary>Lets <paramref name="fill"/> write up to <see cref="ChunkBytes"/> bytes and records their copy to the device.</summary>
    public void Upload<TState>(Allocation target, ulong offset, int bytes, TState state, Fill<TState> fill) where TState : allows ref struct
    {
        Chunk chunk = _upload[_next] ??= Create(MemoryPropertyFlags.HostVisibleBit | MemoryPropertyFlags.HostCoherentBit, MemoryPropertyFlags.HostVisibleBit | MemoryPropertyFlags.HostCoherentBit);
        _next = (_next + 1) % Chunks;
        if (chunk.BusyUntil >= _stream.Pending) _stream.Submit();
        _stream.Wait(chunk.BusyUntil);
        fill(new Span<byte>((void*)chunk.Mapped, bytes), state);
        var region = new BufferCopy(0, target.Offset + offset, (ulong)bytes);
        _api.CmdCopyBuffer(_stream.Next(), chunk.Buffer, target.Block.Buffer, 1, in region);
        chunk.BusyUntil = _stream.Pending;
    }

    /// <summary>Copies a range of the device's memory to the host once all commands so far are done; waits for it.</summary>
    public void Download(Allocation source, Span<byte> destination)
    {
        Chunk chunk = _download ??= Create(
            MemoryPropertyFlags.HostVisibleBit | MemoryPropertyFlags.HostCoherentBit | MemoryPropertyFlags.HostCachedBit,
            MemoryPropertyFlags.HostVisibleBit | MemoryPropertyFlags.HostCoherentBit);
        for (int done = 0; done < destination.Length; done += ChunkBytes)
        {
            int bytes = Math.Min(ChunkBytes, destination.Length - done);
            var region = new BufferCopy(source.Offset + (ulong)done, 0, (ulong)bytes);
            _api.CmdCopyBuffer(_stream.Next(), source.Block.Buffer, chunk.Buffer, 1, in region);
            _stream.Finish();
            new ReadOnlySpan<byte>((void*)chunk.Mapped, bytes).CopyTo(destination[done..]);
        }
    }

    public void Dispose()
    {
        foreach (Chunk? chunk in _upload.Append(_download))
        {
            if (chunk is null) continue;
            _api.DestroyBuffer(_device, chunk.Buffer, null);
            _api.FreeMemory(_device, chunk.Memory, null);
        }
    }

    private Chunk Create(params ReadOnlySpan<MemoryPropertyFlags> wanted)
    {
        (DeviceMemory memory, Buffer buffer) = MemoryAllocator.CreateBuffer(_api, _device, _facts, ChunkBytes,
            BufferUsageFlags.TransferSrcBit | BufferUsageFlags.TransferDstBit, wanted, () => " (staging)");
        void* mapped;
        _api.MapMemory(_device, memory, 0, Vk.WholeSize, 0, &mapped).Check("vkMapMemory");
        return new Chunk(memory, buffer, (nint)mapped);
    }
}
