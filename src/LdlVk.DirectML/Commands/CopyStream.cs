using LdlVk.DirectML.Device;
using LdlVk.DirectML.Interop;
using LdlVk.DirectML.Memory;

namespace LdlVk.DirectML.Commands;

/// <summary>
/// Brings weights to the device on a queue of its own, while the device computes with others. The two queues wait for each other on the
/// device and for a weight's own uses only: copies for the last op that reads what they replace, ops for the copies of what they read. What
/// is waited for has always been handed over before, so that no two wait for each other.
/// <para>
/// Buffers have no state of their own between lists: each list takes them from the common state, a list of copies into that of a copy's
/// source or destination, and leaves them there. So nothing but the fences lies between the queues.
/// </para>
/// </summary>
internal sealed class CopyStream : IDisposable
{
    /// <summary>
    /// Lists in flight. Filling a layer takes one for each of its 7 matrices, and a host that had to wait for them could not record what
    /// the device is to compute meanwhile: this is more than the slots of streamed layers ever take.
    /// </summary>
    private const int Lists = 64;

    private readonly CommandQueue _queue;
    private readonly Uploads _uploads;
    private readonly List<HostBuffer> _retired = [];
    private readonly CommandQueue _computes;
    private ulong _awaited;
    private bool _recorded;

    /// <summary>Makes the stream of a device.</summary>
    /// <param name="device">The device.</param>
    /// <param name="health">Told when the device is lost.</param>
    /// <param name="computes">
    /// The queue whose ops read what is copied. Those that were recorded must have been handed over before a copy to what they read.
    /// </param>
    public CopyStream(D3D12Device device, DeviceHealth health, CommandQueue computes)
    {
        _computes = computes;
        _queue = new CommandQueue(device, health, CommandListType.Copy, Lists);
        _uploads = new Uploads(device, _queue);
    }

    /// <summary>Its queue, for the other to wait for.</summary>
    public CommandQueue Queue => _queue;

    /// <summary>Brings bytes into the device's memory; <paramref name="write"/> fills them before this returns.</summary>
    public void Upload<T>(Region destination, T state, Action<Span<byte>, T> write)
        where T : allows ref struct
    {
        Replace(destination.Buffer);
        _uploads.Record(destination, state, write);
        if (_uploads.IsFull) Submit();
    }

    /// <summary>Brings bytes of pinned memory into the device's.</summary>
    public void Copy(Region destination, HostBuffer source, ulong offset)
    {
        Replace(destination.Buffer);
        _queue.List.Copy(destination.Buffer.Resource, destination.Offset, source.Resource, offset, destination.Bytes);
        source.BusyUntil = _queue.Current;
    }

    /// <summary>Hands over what was recorded.</summary>
    public void Submit()
    {
        if (!_recorded) return;
        _queue.HandOver();
        _uploads.HandedOver();
        _recorded = false;
        _queue.Next();
    }

    /// <summary>Hands over what was recorded and waits for all.</summary>
    public void Finish()
    {
        Submit();
        _queue.WaitFor(_queue.Submitted);
    }

    /// <summary>Frees pinned memory when the device has passed its last copy.</summary>
    public void Free(HostBuffer pinned) => _retired.Add(pinned);

    /// <summary>Frees the pinned memory that the device has passed.</summary>
    public void Collect()
    {
        if (_retired.Count == 0) return;
        ulong completed = _queue.Completed;
        _retired.RemoveAll(memory =>
        {
            if (memory.BusyUntil > completed) return false;
            memory.Dispose();
            return true;
        });
    }

    public void Dispose()
    {
        foreach (HostBuffer memory in _retired) memory.Dispose();
        _uploads.Dispose();
        _queue.Dispose();
    }

    /// <summary>Prepares for the next copy to a buffer.</summary>
    private void Replace(GpuBuffer buffer)
    {
        if (buffer.BusyUntil > _awaited)
        {
            // Commands recorded before need not wait.
            Submit();
            if (_computes.Completed < buffer.BusyUntil) _queue.Await(_computes, buffer.BusyUntil);
            _awaited = buffer.BusyUntil;
        }
        buffer.CopiedUntil = _queue.Current;
        _recorded = true;
    }
}
