using System.Diagnostics;
using LdlVk.DirectML.Interop;
using LdlVk.Runtime;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML;

/// <summary>
/// Records dispatches and copies in the order of the calls and runs them on one queue. Barriers are set where one call's bytes are
/// another's.
/// </summary>
internal sealed unsafe class CommandStream : IDisposable
{
    /// <summary>Lists in flight. Each has its allocator and its part of the descriptor heap.</summary>
    private const int Lists = 4;

    private const uint DescriptorsPerList = 8192;

    /// <summary>
    /// Dispatches in a list at most: enough to hide the cost of submitting one (about 0.1 ms on Windows), few enough that the device starts
    /// early. Fewer where they are long (<see cref="SubmissionBudget"/>).
    /// </summary>
    private const int DispatchesPerList = 64;

    private readonly D3D12Device _device;
    private readonly DmlDevice _dml;
    private readonly GpuMemory _memory;
    private readonly D3D12Queue _queue;
    private readonly D3D12Fence _fence;
    private readonly D3D12CommandAllocator[] _allocators;
    private readonly ulong[] _listBusyUntil = new ulong[Lists];
    private readonly D3D12CommandList _list;
    private readonly D3D12DescriptorHeap _heap;
    private readonly DmlCommandRecorder _recorder;
    private readonly uint _descriptorSize;
    private readonly DescriptorHandle _cpuStart, _gpuStart;
    private readonly AutoResetEvent _passed = new(false);
    private readonly SubmissionBudget _budget;
    private readonly Queue<(ulong Value, double Operations, long Time)> _inFlight = new();

    // What was read and written since the last barrier.
    private readonly List<(Region Bytes, bool Written)> _touched = [];

    // What the dispatch that is being recorded reads and writes.
    private readonly List<(Region Bytes, bool Written)> _operands = [];
    private readonly HostBuffers _uploads, _downloads;
    private readonly List<HostBuffer> _uploading = [];
    private DmlBindingTable? _bindings;
    private GpuBuffer? _temporary;
    private HostBuffer? _chunk;
    private int _chunkUsed, _dispatches, _commands;
    private uint _descriptors;
    private ulong _submitted;
    private double _operations;
    private DeviceException? _failure;

    /// <summary>Makes the stream of a device.</summary>
    /// <param name="device">The device.</param>
    /// <param name="dml">DirectML on it.</param>
    /// <param name="memory">Its memory.</param>
    /// <param name="watched">Whether a watchdog looks at the device.</param>
    public CommandStream(D3D12Device device, DmlDevice dml, GpuMemory memory, bool watched)
    {
        (_device, _dml, _memory, _budget) = (device, dml, memory, new SubmissionBudget(watched));
        _queue = device.CreateQueue(CommandListType.Compute);
        _fence = device.CreateFence();
        _allocators = [.. Enumerable.Range(0, Lists).Select(_ => device.CreateAllocator(CommandListType.Compute))];
        _list = device.CreateList(CommandListType.Compute, _allocators[0]);
        _heap = device.CreateDescriptorHeap(Lists * DescriptorsPerList);
        (_cpuStart, _gpuStart, _descriptorSize) = (_heap.CpuStart, _heap.GpuStart, device.DescriptorSize);
        _recorder = dml.CreateRecorder();
        (_uploads, _downloads) = (new HostBuffers(device, HeapType.Upload), new HostBuffers(device, HeapType.Readback));
        _list.SetDescriptorHeap(_heap);
    }

    /// <summary>The fence's value when the list that is being recorded is done.</summary>
    public ulong Current => _submitted + 1;

    /// <summary>What the device has passed.</summary>
    public ulong Completed
    {
        get
        {
            ThrowIfFailed();
            ulong completed = _fence.Completed;
            if (completed == ulong.MaxValue) ThrowLost("ID3D12Fence::GetCompletedValue");
            Learn(completed);
            return completed;
        }
    }

    private int Slot => (int)(_submitted % Lists);

    /// <summary>Records a graph on its operands.</summary>
    public void Dispatch(CompiledGraph graph, ReadOnlySpan<Region> inputs, ReadOnlySpan<Region> outputs)
    {
        BindingProperties needs = graph.Properties;
        DmlBindingTable table = Begin(graph.Dispatchable, needs, graph.Operations);
        TypedDesc* descs = stackalloc TypedDesc[Math.Max(inputs.Length, outputs.Length)];
        BufferBinding* buffers = stackalloc BufferBinding[Math.Max(inputs.Length, outputs.Length)];
        for (int i = 0; i < inputs.Length; i++) Use(inputs[i] with { Bytes = graph.InputBytes[i] }, ResourceStates.UnorderedAccess, written: false);
        for (int i = 0; i < outputs.Length; i++) Use(outputs[i] with { Bytes = graph.OutputBytes[i] }, ResourceStates.UnorderedAccess, written: true);
        Bind(inputs, graph.InputBytes);
        table.BindInputs((uint)inputs.Length, descs);
        Bind(outputs, graph.OutputBytes);
        table.BindOutputs((uint)outputs.Length, descs);
        BindScratch(table, needs.TemporaryResourceSize);
        if (graph.Persistent is { } kept)
        {
            Use(kept.All, ResourceStates.UnorderedAccess, written: false);
            (*buffers, *descs) = (Binding(kept.All, needs.PersistentResourceSize), new TypedDesc { Type = TypedDesc.BufferBinding, Desc = buffers });
            table.BindPersistent(descs);
        }
        _recorder.RecordDispatch(_list, graph.Dispatchable, table);
        End();

        void Bind(ReadOnlySpan<Region> regions, ulong[] bytes)
        {
            for (int i = 0; i < regions.Length; i++)
                (buffers[i], descs[i]) = (Binding(regions[i], bytes[i]), new TypedDesc { Type = TypedDesc.BufferBinding, Desc = buffers + i });
        }
    }

    /// <summary>Prepares a graph for its first dispatch.</summary>
    public void Initialise(CompiledGraph graph)
    {
        using DmlDispatchable initializer = _dml.CreateInitializer(graph.Dispatchable);
        ulong kept = graph.Properties.PersistentResourceSize;
        if (kept > 0) graph.Persistent = _memory.Allocate(kept, "a compiled graph", WaitAndCollect);
        BindingProperties needs = initializer.Properties;
        DmlBindingTable table = Begin(initializer, needs, 0);
        BindScratch(table, needs.TemporaryResourceSize);
        if (graph.Persistent is { } buffer)
        {
            Use(buffer.All, ResourceStates.UnorderedAccess, written: true);
            BufferBinding binding = Binding(buffer.All, kept);
            TypedDesc desc = new() { Type = TypedDesc.BufferBinding, Desc = &binding };
            table.BindOutputs(1, &desc);
        }
        _recorder.RecordDispatch(_list, initializer, table);
        End();
        // The initialiser must live until the device has run it.
        WaitFor(Submit());
    }

    /// <summary>Copies bytes within the device's memory.</summary>
    public void Copy(Region destination, Region source)
    {
        Use(source, ResourceStates.CopySource, written: false);
        Use(destination, ResourceStates.CopyDestination, written: true);
        _list.Copy(destination.Buffer.Resource, destination.Offset, source.Buffer.Resource, source.Offset, source.Bytes);
        _commands++;
    }

    /// <summary>Brings bytes into the device's memory; <paramref name="write"/> fills them before this returns.</summary>
    public void Upload<T>(Region destination, T state, Action<Span<byte>, T> write)
        where T : allows ref struct
    {
        int bytes = checked((int)destination.Bytes);
        if (_chunk is null || _chunk.Size - _chunkUsed < bytes)
        {
            if (_chunk is not null) _uploading.Add(_chunk);
            _chunk = null;
            (_chunk, _chunkUsed) = (_uploads.Take(bytes, WaitFor, Completed), 0);
        }
        write(_chunk.Bytes.Slice(_chunkUsed, bytes), state);
        Use(destination, ResourceStates.CopyDestination, written: true);
        _list.Copy(destination.Buffer.Resource, destination.Offset, _chunk.Resource, (ulong)_chunkUsed, destination.Bytes);
        // Copies need no more than 4, caches like 256.
        _chunkUsed = Math.Min(_chunk.Size, (_chunkUsed + bytes + 255) & ~255);
        _commands++;
        // What was written by the host should be on its way.
        if (_chunkUsed == _chunk.Size || _uploading.Count > 0) Submit();
    }

    /// <summary>Copies bytes to the host; they are there when the device has passed <see cref="HostBuffer.BusyUntil"/>.</summary>
    public HostBuffer Download(Region source)
    {
        HostBuffer buffer = _downloads.Take(checked((int)source.Bytes), WaitFor, Completed);
        Use(source, ResourceStates.CopySource, written: false);
        _list.Copy(buffer.Resource, 0, source.Buffer.Resource, source.Offset, source.Bytes);
        _commands++;
        buffer.BusyUntil = Current;
        return buffer;
    }

    /// <summary>Gives a download's buffer back.</summary>
    public void EndDownload(HostBuffer buffer) => _downloads.Give(buffer, WaitFor);

    /// <summary>Sends what was recorded to the device.</summary>
    /// <returns>The fence's value when it is done.</returns>
    public ulong Submit()
    {
        ThrowIfFailed();
        if (_commands == 0) return _submitted;
        try
        {
            HandOver();
        }
        catch (DeviceException e)
        {
            // What was recorded is lost, so nothing that comes after it could be right.
            _failure = new DeviceException(e.Message, e.InnerException, DeviceFailure.Lost);
            throw _failure;
        }
        return _submitted;
    }

    /// <summary>Submits the list and begins the next.</summary>
    private void HandOver()
    {
        Check(_list.Close(), "ID3D12GraphicsCommandList::Close");
        _queue.Execute(_list);
        Check(_queue.Signal(_fence, _submitted + 1), "ID3D12CommandQueue::Signal");
        _listBusyUntil[Slot] = ++_submitted;
        _inFlight.Enqueue((_submitted, _operations, Stopwatch.GetTimestamp()));
        foreach (HostBuffer chunk in _uploading)
        {
            chunk.BusyUntil = _submitted;
            _uploads.Give(chunk, WaitFor);
        }
        _uploading.Clear();
        if (_chunk is not null && _chunkUsed > 0)
        {
            _chunk.BusyUntil = _submitted;
            _uploads.Give(_chunk, WaitFor);
            _chunk = null;
        }
        _touched.Clear();
        (_dispatches, _commands, _descriptors, _operations) = (0, 0, 0, 0);

        WaitFor(_listBusyUntil[Slot]);
        Check(_allocators[Slot].Reset(), "ID3D12CommandAllocator::Reset");
        Check(_list.Reset(_allocators[Slot]), "ID3D12GraphicsCommandList::Reset");
        _list.SetDescriptorHeap(_heap);
        _memory.Collect(Completed);
    }

    /// <summary>Waits until the device has passed a value that was submitted.</summary>
    public void WaitFor(ulong value)
    {
        if (Completed >= value) return;
        Check(_fence.SetEvent(value, _passed.SafeWaitHandle.DangerousGetHandle()), "ID3D12Fence::SetEventOnCompletion");
        _passed.WaitOne();
        _ = Completed;
        int removed = _device.RemovedReason;
        if (removed < 0) ThrowLost("Waiting for the device");
    }

    /// <summary>Waits for all that was recorded, and frees what waits to be freed.</summary>
    public void WaitAndCollect()
    {
        WaitFor(Submit());
        _memory.Collect(Completed);
    }

    public void Dispose()
    {
        try
        {
            WaitFor(Submit());
        }
        catch (DeviceException)
        {
            // A lost device uses nothing any more.
        }
        _chunk = null;
        _uploads.Dispose();
        _downloads.Dispose();
        _bindings?.Dispose();
        _recorder.Dispose();
        _heap.Dispose();
        _list.Dispose();
        foreach (D3D12CommandAllocator allocator in _allocators) allocator.Dispose();
        _fence.Dispose();
        _queue.Dispose();
        _passed.Dispose();
    }

    /// <summary>The binding table, set to descriptors of this list.</summary>
    private DmlBindingTable Begin(DmlDispatchable dispatchable, in BindingProperties needs, double operations)
    {
        ThrowIfFailed();
        bool full = _descriptors + needs.RequiredDescriptorCount > DescriptorsPerList || _dispatches >= DispatchesPerList;
        if (full || (_dispatches > 0 && _operations + operations > _budget.Operations)) Submit();
        _operations += operations;
        _operands.Clear();
        ulong offset = (((ulong)Slot * DescriptorsPerList) + _descriptors) * _descriptorSize;
        _descriptors += needs.RequiredDescriptorCount;
        BindingTableDesc desc = new()
        {
            Dispatchable = dispatchable.Pointer,
            Cpu = new DescriptorHandle(_cpuStart.Address + offset),
            Gpu = new DescriptorHandle(_gpuStart.Address + offset),
            SizeInDescriptors = needs.RequiredDescriptorCount,
        };
        if (_bindings is null) _bindings = _dml.CreateBindingTable(desc);
        else Check(_bindings.Reset(desc), "IDMLBindingTable::Reset");
        return _bindings;
    }

    private void End()
    {
        _dispatches++;
        _commands++;
    }

    /// <summary>Binds memory that the dispatch may overwrite; all dispatches share it.</summary>
    private void BindScratch(DmlBindingTable table, ulong bytes)
    {
        if (bytes == 0) return;
        if (_temporary is null || _temporary.Bytes < bytes)
        {
            if (_temporary is not null) _memory.Free(_temporary);
            _temporary = null;
            _temporary = _memory.Allocate(bytes, "the intermediate results of an operation", static () => { });
        }
        Use(_temporary.All, ResourceStates.UnorderedAccess, written: true);
        BufferBinding binding = Binding(_temporary.All, bytes);
        TypedDesc desc = new() { Type = TypedDesc.BufferBinding, Desc = &binding };
        table.BindTemporary(&desc);
    }

    private static BufferBinding Binding(in Region region, ulong bytes) =>
        new() { Buffer = region.Buffer.Resource.Pointer, Offset = region.Offset, SizeInBytes = bytes };

    /// <summary>Sets the barriers that a use of some bytes needs.</summary>
    private void Use(in Region region, ResourceStates state, bool written)
    {
        ThrowIfFailed();
        GpuBuffer buffer = region.Buffer;
        buffer.BusyUntil = Current;
        if (buffer.ListNumber != Current)
        {
            // From the common state, buffers go into any at their first use.
            (buffer.ListNumber, buffer.State) = (Current, state);
        }
        else if (buffer.State != state)
        {
            _list.Barrier([new ResourceBarrier { Type = ResourceBarrier.Transition, Resource = buffer.Resource.Pointer, Subresource = ResourceBarrier.AllSubresources, Before = buffer.State, After = state }]);
            buffer.State = state;
            _touched.RemoveAll(touched => touched.Bytes.Buffer == buffer);
        }
        else if (state == ResourceStates.UnorderedAccess)
        {
            foreach ((Region bytes, bool wrote) in _touched)
            {
                if ((!wrote && !written) || !bytes.Overlaps(region)) continue;
                _list.Barrier([new ResourceBarrier { Type = ResourceBarrier.UnorderedAccess }]);
                _touched.Clear();
                _touched.AddRange(_operands);
                break;
            }
        }
        if (state != ResourceStates.UnorderedAccess) return;
        _touched.Add((region, written));
        _operands.Add((region, written));
    }

    /// <summary>Takes note of what the device has completed: its speed shows.</summary>
    private void Learn(ulong completed)
    {
        double operations = 0;
        long first = _inFlight.TryPeek(out (ulong, double, long Time) oldest) ? oldest.Time : 0;
        while (_inFlight.TryPeek(out (ulong Value, double Operations, long) done) && done.Value <= completed)
        {
            operations += done.Operations;
            _inFlight.Dequeue();
        }
        _budget.Completed(operations, Stopwatch.GetElapsedTime(first));
    }

    private void ThrowIfFailed()
    {
        if (_failure is { } e) throw new DeviceException($"The device cannot go on after an earlier error: {e.Message}", e, DeviceFailure.Lost);
    }

    private void Check(int result, string call)
    {
        if (result >= 0) return;
        if (HResult.IsLost(result)) ThrowLost(call, result);
        _device.Check(result, call);
    }

    /// <summary>Raises the loss of the device, which every later use raises again.</summary>
    private void ThrowLost(string call, int result = HResult.DeviceRemoved)
    {
        int reason = _device.RemovedReason;
        try
        {
            HResult.Check(result, call, reason < 0 ? reason : _dml.RemovedReason);
        }
        catch (DeviceException e)
        {
            _failure = e;
            throw;
        }
    }
}
