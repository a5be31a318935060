using LdlVk.DirectML.Interop;

namespace LdlVk.DirectML.Memory;

/// <summary>A mapped buffer in host memory, from or to which the device copies.</summary>
internal sealed unsafe class HostBuffer : IDisposable
{
    private readonly byte* _mapped;

    public HostBuffer(D3D12Device device, HeapType heap, long bytes)
    {
        device.Check(device.TryCreateBuffer(heap, (ulong)bytes, out D3D12Resource? resource),
            $"CreateCommittedResource of {bytes / (double)(1 << 20):F1} MiB in host memory");
        (Resource, Size) = (resource!, bytes);
        try
        {
            _mapped = Resource.Map();
        }
        catch
        {
            Resource.Dispose();
            throw;
        }
    }

    public D3D12Resource Resource { get; }

    public long Size { get; }

    /// <summary>The address at which it is mapped.</summary>
    public byte* Mapped => _mapped;

    /// <summary>Its bytes, if they are less than 2 GiB.</summary>
    public Span<byte> Bytes => new(_mapped, checked((int)Size));

    /// <summary>The fence's value at which the device has passed its last use.</summary>
    public ulong BusyUntil { get; set; }

    public void Dispose() => Resource.Dispose();
}

/// <summary>Host buffers of one kind, used again when the device has passed them.</summary>
internal sealed class HostBuffers(D3D12Device device, HeapType heap) : IDisposable
{
    /// <summary>Size of a chunk; larger ones are made for one use.</summary>
    public const int ChunkBytes = 4 << 20;

    /// <summary>Chunks in flight before the host waits for the device.</summary>
    private const int MaxChunks = 8;

    private readonly List<HostBuffer> _all = [];
    private readonly Queue<HostBuffer> _idle = new();

    /// <summary>An unused buffer of at least that size.</summary>
    /// <param name="bytes">The smallest size that serves.</param>
    /// <param name="waitFor">Waits for the device to pass a value.</param>
    /// <param name="completed">The value that it has passed.</param>
    public HostBuffer Take(int bytes, Action<ulong> waitFor, ulong completed)
    {
        if (bytes > ChunkBytes) return Make(bytes);
        if (_idle.TryPeek(out HostBuffer? first) && (first.BusyUntil <= completed || _all.Count >= MaxChunks))
        {
            waitFor(first.BusyUntil);
            return _idle.Dequeue();
        }
        return Make(ChunkBytes);
    }

    /// <summary>Gives a buffer back, to be used again when the device has passed it.</summary>
    public void Give(HostBuffer buffer, Action<ulong> waitFor)
    {
        if (buffer.Size == ChunkBytes)
        {
            _idle.Enqueue(buffer);
            return;
        }
        waitFor(buffer.BusyUntil);
        _all.Remove(buffer);
        buffer.Dispose();
    }

    public void Dispose()
    {
        foreach (HostBuffer buffer in _all) buffer.Dispose();
        _all.Clear();
    }

    private HostBuffer Make(int bytes)
    {
        HostBuffer made = new(device, heap, bytes);
        _all.Add(made);
        return made;
    }
}
