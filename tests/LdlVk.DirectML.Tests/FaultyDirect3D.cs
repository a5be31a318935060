using System.Runtime.InteropServices;
using LdlVk.DirectML.Interop;

namespace LdlVk.DirectML.Tests;

/// <summary>
/// Stands between the DirectML backend and one Direct3D 12 device: in the vtables of devices, queues and fences, calls that may fail lead here
/// first, DirectML's own too. What is not that device's goes on to the real ones. (A vtable of its own for each object would be simpler, but
/// Wine tells its objects by their vtables.)
/// </summary>
internal sealed unsafe partial class FaultyDirect3D : IDisposable
{
    private readonly HashSet<nint> _objects = [];
    private readonly Dictionary<nint, nint> _replaced = [];
    private readonly List<Call> _stubs = [];
    private readonly Dictionary<nint, ulong> _signaled = [];
    private readonly Dictionary<nint, (nint Fence, ulong Value)> _awaited = [];

    /// <summary>Takes a device; its queues and fences are taken as they are made.</summary>
    public FaultyDirect3D(D3D12Device device)
    {
        nint own = (nint)device.Pointer;
        Replace(own, Slots.ID3D12Device.CreateCommandQueue, real => (a, b, c, d, e, f, g, h) => Made(real(a, b, c, d, e, f, g, h), *(nint*)d, queue: true));
        Replace(own, Slots.ID3D12Device.CreateCommandList, real => (a, b, c, d, e, f, g, h) => MadeList(real(a, b, c, d, e, f, g, h), (nint*)g));
        Replace(own, Slots.ID3D12Device.CreateFence, real => (a, b, c, d, e, f, g, h) => Made(real(a, b, c, d, e, f, g, h), *(nint*)e, queue: false));
        Replace(own, Slots.ID3D12Device.CreateCommittedResource, real => (a, b, c, d, e, f, g, h) => Answer("CreateCommittedResource") is < 0 and var fault ? fault : real(a, b, c, d, e, f, g, h));
        Replace(own, Slots.ID3D12Device.GetDeviceRemovedReason, real => (a, b, c, d, e, f, g, h) => Lost ? HResult.DeviceHung : real(a, b, c, d, e, f, g, h));
    }

    /// <summary>A COM method: words in, a word out. On x64, more words than a method takes are harmless.</summary>
    private delegate long Call(nint a, nint b, nint c, nint d, nint e, nint f, nint g, nint h);

    /// <summary>Given a call's name and number (from 0), the HRESULT it answers instead of being made; 0 makes it.</summary>
    public Func<string, int, int> Fault { get; set; } = (_, _) => 0;

    /// <summary>Calls so far that could fail.</summary>
    public int Calls { get; private set; }

    /// <summary>What was handed over to the queues, in order: what it waits for on the device (none: 0), and what it signals.</summary>
    public List<(nint Queue, (nint Fence, ulong Value) Awaited, (nint Fence, ulong Value) Signaled)> Submissions { get; } = [];

    /// <summary>Copies that were recorded, and transitions of buffers to another state, in order, with the buffer that is written or changes.</summary>
    public List<(string Command, nint Buffer)> Recorded { get; } = [];

    /// <summary>Whether fences say that nothing has passed; who asks to be told waits in truth.</summary>
    public bool Stalled { get; set; }

    /// <summary>How often the host has waited for a fence.</summary>
    public int HostWaits { get; private set; }

    /// <summary>Whether the device says that it was removed.</summary>
    public bool Lost { get; private set; }

    /// <summary>Lets every DirectML device say that it has no higher feature level.</summary>
    public void LimitFeatureLevel(DmlDevice any, int level)
    {
        Replace((nint)any.Pointer, Slots.IDMLDevice.CheckFeatureSupport, _ => Limited, everyones: true);

        long Limited(nint device, nint feature, nint queryBytes, nint query, nint answerBytes, nint answer, nint g, nint h)
        {
            *(int*)answer = level;
            return 0;
        }
    }

    /// <summary>Leaves the vtables as they were; from then on nothing fails.</summary>
    public void Dispose()
    {
        foreach ((nint slot, nint real) in _replaced) Write(slot, real);
        _replaced.Clear();
        GC.KeepAlive(_stubs);
    }

    private int Answer(string name)
    {
        int fault = Lost ? HResult.DeviceRemoved : Fault(name, Calls++);
        Lost |= HResult.IsLost(fault);
        return fault;
    }

    private long Made(long result, nint made, bool queue)
    {
        if (result < 0) return result;
        if (queue)
        {
            Replace(made, Slots.ID3D12CommandQueue.Signal, real => (a, b, c, d, e, f, g, h) => Signal(real, a, b, c));
            Replace(made, Slots.ID3D12CommandQueue.Wait, real => (a, b, c, d, e, f, g, h) => Wait(real, a, b, c));
            return result;
        }

        Replace(made, Slots.ID3D12Fence.GetCompletedValue, real => (a, b, c, d, e, f, g, h) => Completed(real, a));
        Replace(made, Slots.ID3D12Fence.SetEventOnCompletion, real => (a, b, c, d, e, f, g, h) =>
        {
            HostWaits++;
            return real(a, b, c, d, e, f, g, h);
        });
        return result;
    }

    private long MadeList(long result, nint* made)
    {
        if (result < 0) return result;
        Replace(*made, Slots.ID3D12GraphicsCommandList.CopyBufferRegion, real => (list, destination, c, d, e, f, g, h) =>
        {
            Recorded.Add(("copy", destination));
            return real(list, destination, c, d, e, f, g, h);
        });
        Replace(*made, Slots.ID3D12GraphicsCommandList.ResourceBarrier, real => (list, count, barriers, d, e, f, g, h) =>
        {
            foreach (ResourceBarrier barrier in new ReadOnlySpan<ResourceBarrier>((void*)barriers, (int)count))
                if (barrier.Type == ResourceBarrier.Transition) Recorded.Add(("transition", (nint)barrier.Resource));
            return real(list, count, barriers, d, e, f, g, h);
        });
        return result;
    }

    /// <summary>The device only seems lost, so what it does must end before the backend closes it: the signal is sent, and waited for.</summary>
    private long Signal(Call real, nint queue, nint fence, nint value)
    {
        long result = real(queue, fence, value, 0, 0, 0, 0, 0);
        _signaled[fence] = (ulong)value;
        _awaited.Remove(queue, out (nint, ulong) awaited);
        Submissions.Add((queue, awaited, (fence, (ulong)value)));
        int fault = Answer("Signal");
        if (fault >= 0) return result;
        _ = ((delegate* unmanaged[MemberFunction]<nint, ulong>)(*(void***)fence)[Slots.ID3D12Fence.GetCompletedValue])(fence);
        return fault;
    }

    private long Wait(Call real, nint queue, nint fence, nint value)
    {
        int fault = Answer("Wait");
        if (fault < 0) return fault;
        _awaited[queue] = (fence, (ulong)value);
        return real(queue, fence, value, 0, 0, 0, 0, 0);
    }

    private long Completed(Call real, nint fence)
    {
        bool lost = Lost || Answer("GetCompletedValue") < 0;
        long value = real(fence, 0, 0, 0, 0, 0, 0, 0);
        if (!lost) return Stalled ? 0 : value;
        for (; (ulong)value < _signaled.GetValueOrDefault(fence); value = real(fence, 0, 0, 0, 0, 0, 0, 0)) Thread.Sleep(1);
        return -1;
    }

    /// <summary>Replaces a method for one object, or for all of its kind.</summary>
    private void Replace(nint instance, int method, Func<Call, Call> replacement, bool everyones = false)
    {
        _objects.Add(instance);
        nint slot = *(nint*)instance + (method * sizeof(nint));
        if (_replaced.ContainsKey(slot)) return;
        Call real = Marshal.GetDelegateForFunctionPointer<Call>(*(nint*)slot), ours = replacement(real);
        Call stub = (a, b, c, d, e, f, g, h) => (everyones || _objects.Contains(a) ? ours : real)(a, b, c, d, e, f, g, h);
        _stubs.Add(stub);
        _replaced.Add(slot, *(nint*)slot);
        Write(slot, Marshal.GetFunctionPointerForDelegate(stub));
    }

    private static void Write(nint slot, nint method)
    {
        const uint ReadWrite = 4;
        if (!VirtualProtect(slot, (nuint)sizeof(nint), ReadWrite, out uint before)) throw new InvalidOperationException("VirtualProtect failed");
        *(nint*)slot = method;
        VirtualProtect(slot, (nuint)sizeof(nint), before, out _);
    }

    [LibraryImport("kernel32.dll")]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool VirtualProtect(nint address, nuint size, uint protection, out uint before);
}
