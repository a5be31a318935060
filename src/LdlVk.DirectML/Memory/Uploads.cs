using LdlVk.DirectML.Commands;
using LdlVk.DirectML.Interop;

namespace LdlVk.DirectML.Memory;

/// <summary>Host buffers through which bytes go to the device on one queue, filled one behind the other.</summary>
/// <param name="device">The device.</param>
/// <param name="queue">The queue that copies them.</param>
internal sealed class Uploads(D3D12Device device, CommandQueue queue) : IDisposable
{
    private readonly HostBuffers _buffers = new(device, HeapType.Upload);
    private readonly List<HostBuffer> _full = [];
    private HostBuffer? _chunk;
    private int _used;

    /// <summary>Whether what was written by the host should be on its way.</summary>
    public bool IsFull => _full.Count > 0 || _used == _chunk?.Size;

    /// <summary>Lets <paramref name="write"/> fill bytes before this returns, and records their copy to the device.</summary>
    public void Record<T>(Region destination, T state, Action<Span<byte>, T> write)
        where T : allows ref struct
    {
        int bytes = checked((int)destination.Bytes);
        if (_chunk is null || _chunk.Size - _used < bytes)
        {
            if (_chunk is not null) _full.Add(_chunk);
            _chunk = null;
            (_chunk, _used) = (_buffers.Take(bytes, queue.WaitFor, queue.Completed), 0);
        }
        write(_chunk.Bytes.Slice(_used, bytes), state);
        queue.List.Copy(destination.Buffer.Resource, destination.Offset, _chunk.Resource, (ulong)_used, destination.Bytes);
        // Copies need no more than 4, caches like 256.
        _used = (int)Math.Min(_chunk.Size, (_used + bytes + 255) & ~255);
    }

    /// <summary>The list was handed over: what it copies from may be filled again when the device has passed it.</summary>
    public void HandedOver()
    {
        foreach (HostBuffer chunk in _full) Give(chunk);
        _full.Clear();
        if (_chunk is null || _used == 0) return;
        Give(_chunk);
        _chunk = null;
    }

    public void Dispose() => _buffers.Dispose();

    private void Give(HostBuffer chunk)
    {
        chunk.BusyUntil = queue.Submitted;
        _buffers.Give(chunk, queue.WaitFor);
    }
}
