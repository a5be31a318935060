using LdlVk.DirectML.Device;
using LdlVk.DirectML.Interop;

namespace LdlVk.DirectML.Commands;

/// <summary>
/// A queue of the device, the list that is being recorded for it, and a fence that counts the lists: its value is n when the device has
/// passed the n-th.
/// </summary>
internal sealed class CommandQueue : IDisposable
{
    private readonly D3D12Device _device;
    private readonly DeviceHealth _health;
    private readonly CommandListType _type;
    private readonly D3D12Queue _queue;
    private readonly D3D12Fence _fence;
    private readonly D3D12CommandAllocator?[] _allocators;
    private readonly ulong[] _listBusyUntil;
    private readonly AutoResetEvent _passed = new(false);

    /// <summary>Makes a queue.</summary>
    /// <param name="device">The device.</param>
    /// <param name="health">Told when the device is lost.</param>
    /// <param name="type">The kind of its lists.</param>
    /// <param name="lists">The most lists in flight; recording waits beyond them. Each has an allocator.</param>
    public CommandQueue(D3D12Device device, DeviceHealth health, CommandListType type, int lists)
    {
        (_device, _health, _type, _allocators, _listBusyUntil) = (device, health, type, new D3D12CommandAllocator?[lists],
            new ulong[lists]);
        _queue = device.CreateQueue(type);
        _fence = device.CreateFence();
        List = device.CreateList(type, _allocators[0] = device.CreateAllocator(type));
    }

    /// <summary>The list that is being recorded.</summary>
    public D3D12CommandList List { get; }

    /// <summary>The fence's value when all that was handed over is done.</summary>
    public ulong Submitted { get; private set; }

    /// <summary>The fence's value when the list that is being recorded is done.</summary>
    public ulong Current => Submitted + 1;

    /// <summary>The place of the list that is being recorded among those in flight.</summary>
    public int Slot => (int)(Submitted % (ulong)_allocators.Length);

    /// <summary>The value that the device has passed.</summary>
    public ulong Completed
    {
        get
        {
            _health.ThrowIfFailed();
            ulong completed = _fence.Completed;
            if (completed == ulong.MaxValue) _health.ThrowLost("ID3D12Fence::GetCompletedValue");
            return completed;
        }
    }

    /// <summary>Hands the list over to the device; it cannot be recorded before <see cref="Next"/>.</summary>
    public void HandOver()
    {
        _health.ThrowIfFailed();
        try
        {
            _health.Check(List.Close(), "ID3D12GraphicsCommandList::Close");
            _queue.Execute(List);
            _health.Check(_queue.Signal(_fence, Submitted + 1), "ID3D12CommandQueue::Signal");
        }
        catch (DeviceException e)
        {
            throw _health.Failed(e);
        }
        _listBusyUntil[Slot] = ++Submitted;
    }

    /// <summary>Begins the next list, when the device has passed the one that had its allocator.</summary>
    public void Next()
    {
        try
        {
            WaitFor(_listBusyUntil[Slot]);
            D3D12CommandAllocator allocator = _allocators[Slot] ??= _device.CreateAllocator(_type);
            _health.Check(allocator.Reset(), "ID3D12CommandAllocator::Reset");
            _health.Check(List.Reset(allocator), "ID3D12GraphicsCommandList::Reset");
        }
        catch (DeviceException e)
        {
            throw _health.Failed(e);
        }
    }

    /// <summary>
    /// Lets what is handed over from now on wait, on the device, until another queue has passed what was handed over to it.
    /// </summary>
    public void Await(CommandQueue other, ulong value) => _health.Check(_queue.Wait(other._fence, value), "ID3D12CommandQueue::Wait");

    /// <summary>Waits until the device has passed a value that was handed over.</summary>
    public void WaitFor(ulong value)
    {
        if (Completed >= value) return;
        _health.Check(_fence.SetEvent(value, _passed.SafeWaitHandle.DangerousGetHandle()), "ID3D12Fence::SetEventOnCompletion");
        _passed.WaitOne();
        _ = Completed;
        _health.ThrowIfRemoved("Waiting for the device");
    }

    public void Dispose()
    {
        List.Dispose();
        foreach (D3D12CommandAllocator? allocator in _allocators) allocator?.Dispose();
        _fence.Dispose();
        _queue.Dispose();
        _passed.Dispose();
    }
}
