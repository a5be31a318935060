using System.Diagnostics;
using LdlVk.DirectML.Device;
using LdlVk.DirectML.Graphs;
using LdlVk.DirectML.Interop;
using LdlVk.DirectML.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.DirectML.Commands;

/// <summary>
/// Records dispatches and copies in the order of the calls and runs them on one queue. Barriers are set where one call's bytes are
/// another's. Weights come by a queue of their own (<see cref="Copies"/>).
/// </summary>
internal sealed unsafe class CommandStream : IDisposable
{
    /// <summary>Lists in flight. Each has its part of the descriptor heap.</summary>
    private const int Lists = 4;

    private const uint DescriptorsPerList = 8192;

    /// <summary>
    /// Dispatches in a list at most: enough to hide the cost of submitting one (about 0.1 ms on Windows), few enough that the device starts
    /// early. Fewer where they are long (<see cref="SubmissionBudget"/>).
    /// </summary>
    private const int DispatchesPerList = 64;

    private readonly DmlDevice _dml;
    private readonly GpuMemory _memory, _saved;
    private readonly DeviceHealth _health;
    private readonly CommandQueue _queue;
    private readonly D3D12DescriptorHeap _heap;
    private readonly DmlCommandRecorder _recorder;
    private readonly uint _descriptorSize;
    private readonly DescriptorHandle _cpuStart, _gpuStart;
    private readonly SubmissionBudget _budget;
    private readonly Queue<(ulong Value, double Operations, long Time)> _inFlight = new();

    // Ranges read and written since the last barrier.
    private readonly List<(Region Bytes, bool Written)> _touched = [];

    // Ranges that the dispatch being recorded reads and writes.
    private readonly List<(Region Bytes, bool Written)> _operands = [];
    private readonly Uploads _uploads;
    private readonly HostBuffers _downloads;
    private DmlBindingTable? _bindings;
    private GpuBuffer? _temporary;
    private int _dispatches, _commands;
    private uint _descriptors;
    private ulong _awaited;
    private double _operations;

    /// <summary>Makes the stream of a device.</summary>
    /// <param name="device">The device.</param>
    /// <param name="dml">DirectML on it.</param>
    /// <param name="memory">Its memory.</param>
    /// <param name="saved">Host memory of saved tensors.</param>
    /// <param name="watched">Whether a watchdog looks at the device.</param>
    public CommandStream(D3D12Device device, DmlDevice dml, GpuMemory memory, GpuMemory saved, bool watched)
    {
        (_dml, _memory, _saved, _budget) = (dml, memory, saved, new SubmissionBudget(watched));
        _health = new DeviceHealth(device, dml);
        _queue = new CommandQueue(device, _health, CommandListType.Compute, Lists);
        Copies = new CopyStream(device, _health, _queue);
        _heap = device.CreateDescriptorHeap(Lists * DescriptorsPerList);
        (_cpuStart, _gpuStart, _descriptorSize) = (_heap.CpuStart, _heap.GpuStart, device.DescriptorSize);
        _recorder = dml.CreateRecorder();
        (_uploads, _downloads) = (new Uploads(device, _queue), new HostBuffers(device, HeapType.Readback));
        _queue.List.SetDescriptorHeap(_heap);
    }

    /// <summary>The stream that copies weights to the device.</summary>
    public CopyStream Copies { get; }

    /// <summary>The fence's value when the list that is being recorded is done.</summary>
    public ulong Current => _queue.Current;

    /// <summary>The value that the device has passed.</summary>
    public ulong Completed
    {
        get
        {
            ulong completed = _queue.Completed;
            Learn(completed);
            return completed;
        }
    }

    /// <summary>Records a graph on its operands.</summary>
    public void Dispatch(CompiledGraph graph, ReadOnlySpan<Region> inputs, ReadOnlySpan<Region> outputs)
    {
        BindingProperties needs = graph.Properties;
        AwaitCopies(inputs);
        DmlBindingTable table = Begin(graph.Dispatchable, needs, graph.Operations);
        TypedDesc* descs = stackalloc TypedDesc[Math.Max(inputs.Length, outputs.Length)];
        BufferBinding* buffers = stackalloc BufferBinding[Math.Max(inputs.Length, outputs.Length)];
        for (int i = 0; i < inputs.Length; i++) Use(inputs[i] with { Bytes = graph.InputBytes[i] }, ResourceStates.UnorderedAccess,
            written: false);
        for (int i = 0; i < outputs.Length; i++) Use(outputs[i] with { Bytes = graph.OutputBytes[i] }, ResourceStates.UnorderedAccess,
            written: true);
        Bind(inputs, graph.InputBytes);
        table.BindInputs((uint)inputs.Length, descs);
        Bind(outputs, graph.OutputBytes);
        table.BindOutputs((uint)outputs.Length, descs);
        BindScratch(table, needs.TemporaryResourceSize);
        if (graph.Persistent is { } kept)
        {
            Use(kept.All, ResourceStates.UnorderedAccess, written: false);
            (*buffers, *descs) = (Binding(kept.All, needs.PersistentResourceSize),
                new TypedDesc { Type = TypedDesc.BufferBinding, Desc = buffers });
            table.BindPersistent(descs);
        }
        _recorder.RecordDispatch(_queue.List, graph.Dispatchable, table);
        End();

        void Bind(ReadOnlySpan<Region> regions, ulong[] bytes)
        {
            for (int i = 0; i < regions.Length; i++)
                (buffers[i], descs[i]) = (Binding(regions[i], bytes[i]),
                    new TypedDesc { Type = TypedDesc.BufferBinding, Desc = buffers + i });
        }
    }

    /// <summary>Prepares a graph for its first dispatch.</summary>
    public void Initialize(CompiledGraph graph)
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
        _recorder.RecordDispatch(_queue.List, initializer, table);
        End();
        // The initializer must live until the device has run it.
        WaitFor(Submit());
    }

    /// <summary>Copies bytes within the device's memory, or between that and saved tensors'.</summary>
    public void Copy(Region destination, Region source)
    {
        Use(source, ResourceStates.CopySource, written: false);
        Use(destination, ResourceStates.CopyDestination, written: true);
        _queue.List.Copy(destination.Buffer.Resource, destination.Offset, source.Buffer.Resource, source.Offset, source.Bytes);
        _commands++;
    }

    /// <summary>Brings bytes into the device's memory; <paramref name="write"/> fills them before this returns.</summary>
    public void Upload<T>(Region destination, T state, Action<Span<byte>, T> write)
        where T : allows ref struct
    {
        Use(destination, ResourceStates.CopyDestination, written: true);
        _uploads.Record(destination, state, write);
        _commands++;
        if (_uploads.IsFull) Submit();
    }

    /// <summary>Brings bytes into a buffer of the device's memory, from its start on.</summary>
    public void Upload(GpuBuffer buffer, ReadOnlySpan<byte> bytes)
    {
        for (int done = 0; done < bytes.Length; done += HostBuffers.ChunkBytes)
        {
            ReadOnlySpan<byte> part = bytes.Slice(done, Math.Min(HostBuffers.ChunkBytes, bytes.Length - done));
            Upload(new Region(buffer, (ulong)done, (ulong)part.Length), part, static (to, from) => from.CopyTo(to));
        }
    }

    /// <summary>Copies bytes to the host; they are there when the device has passed <see cref="HostBuffer.BusyUntil"/>.</summary>
    public HostBuffer Download(Region source)
    {
        HostBuffer buffer = _downloads.Take(checked((int)source.Bytes), WaitFor, Completed);
        Use(source, ResourceStates.CopySource, written: false);
        _queue.List.Copy(buffer.Resource, 0, source.Buffer.Resource, source.Offset, source.Bytes);
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
        _health.ThrowIfFailed();
        if (_commands == 0) return _queue.Submitted;
        _queue.HandOver();
        _inFlight.Enqueue((_queue.Submitted, _operations, Stopwatch.GetTimestamp()));
        _uploads.HandedOver();
        _touched.Clear();
        (_dispatches, _commands, _descriptors, _operations) = (0, 0, 0, 0);
        _queue.Next();
        _queue.List.SetDescriptorHeap(_heap);
        Collect();
        return _queue.Submitted;
    }

    /// <summary>Waits until the device has passed a value that was submitted.</summary>
    public void WaitFor(ulong value)
    {
        _queue.WaitFor(value);
        Learn(value);
    }

    /// <summary>Waits for all that was recorded, copies of weights included, and frees retired memory.</summary>
    public void WaitAndCollect()
    {
        WaitFor(Submit());
        Copies.Finish();
        Collect();
    }

    public void Dispose()
    {
        try
        {
            WaitFor(Submit());
            Copies.Finish();
        }
        catch (DeviceException)
        {
            // A lost device uses nothing any more.
        }
        _uploads.Dispose();
        _downloads.Dispose();
        _bindings?.Dispose();
        _recorder.Dispose();
        _heap.Dispose();
        Copies.Dispose();
        _queue.Dispose();
    }

    /// <summary>Frees what the device has passed.</summary>
    private void Collect()
    {
        _memory.Collect(Completed, Copies.Queue.Completed);
        _saved.Collect(Completed, Copies.Queue.Completed);
        Copies.Collect();
    }

    /// <summary>Lets the device wait for the copies of what the next dispatch reads.</summary>
    private void AwaitCopies(ReadOnlySpan<Region> inputs)
    {
        ulong value = 0;
        foreach (Region input in inputs) value = Math.Max(value, input.Buffer.CopiedUntil);
        if (value <= _awaited) return;
        Copies.Submit();
        if (Copies.Queue.Completed < value)
        {
            // Commands recorded before need not wait.
            Submit();
            _queue.Await(Copies.Queue, value);
        }
        _awaited = value;
    }

    /// <summary>The binding table, set to descriptors of this list.</summary>
    private DmlBindingTable Begin(DmlDispatchable dispatchable, in BindingProperties needs, double operations)
    {
        _health.ThrowIfFailed();
        bool full = _descriptors + needs.RequiredDescriptorCount > DescriptorsPerList || _dispatches >= DispatchesPerList;
        if (full || (_dispatches > 0 && _operations + operations > _budget.Operations)) Submit();
        _operations += operations;
        _operands.Clear();
        ulong offset = (((ulong)_queue.Slot * DescriptorsPerList) + _descriptors) * _descriptorSize;
        _descriptors += needs.RequiredDescriptorCount;
        BindingTableDesc desc = new()
        {
            Dispatchable = dispatchable.Pointer,
            Cpu = new DescriptorHandle(_cpuStart.Address + offset),
            Gpu = new DescriptorHandle(_gpuStart.Address + offset),
            SizeInDescriptors = needs.RequiredDescriptorCount,
        };
        if (_bindings is null) _bindings = _dml.CreateBindingTable(desc);
        else _health.Check(_bindings.Reset(desc), "IDMLBindingTable::Reset");
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
        _health.ThrowIfFailed();
        GpuBuffer buffer = region.Buffer;
        buffer.BusyUntil = Current;
        if (buffer.ListNumber != Current)
        {
            // From the common state, buffers go into any at their first use.
            (buffer.ListNumber, buffer.State) = (Current, state);
        }
        else if (buffer.State != state)
        {
            _queue.List.Barrier([new ResourceBarrier { Type = ResourceBarrier.Transition, Resource = buffer.Resource.Pointer,
                Subresource = ResourceBarrier.AllSubresources, Before = buffer.State, After = state }]);
            buffer.State = state;
            _touched.RemoveAll(touched => touched.Bytes.Buffer == buffer);
        }
        else if (state == ResourceStates.UnorderedAccess)
        {
            foreach ((Region bytes, bool wrote) in _touched)
            {
                if ((!wrote && !written) || !bytes.Overlaps(region)) continue;
                _queue.List.Barrier([new ResourceBarrier { Type = ResourceBarrier.UnorderedAccess }]);
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
}
