using LdlVk.Runtime;
using Silk.NET.Vulkan;
using Semaphore = Silk.NET.Vulkan.Semaphore;

namespace LdlVk.Vulkan;

/// <summary>
/// The one ordered stream of commands of a device: records into a command buffer, hands it over when it holds enough work, and counts
/// submissions on a timeline semaphore. A full memory barrier stands between any two commands.
/// </summary>
internal sealed unsafe class CommandStream : IDisposable
{
    /// <summary>Command buffers in flight before recording waits for the oldest.</summary>
    private const int Depth = 8;

    /// <summary>
    /// Work per submission. Drivers reset a GPU that computes for more than about 2 s (Windows); 2·10¹¹ operations stay below that
    /// on a card of 0.1 TFLOP/s, and are long enough to hide the cost of a submission (some 20 µs) on one of 100 TFLOP/s.
    /// </summary>
    public const double OperationsPerSubmission = 2e11;

    private const int CommandsPerSubmission = 256;

    private readonly Vk _api;
    private readonly Device _device;
    private readonly Queue _queue;
    private readonly CommandPool _pool;
    private readonly CommandBuffer[] _buffers = new CommandBuffer[Depth];
    private readonly ulong[] _submittedAt = new ulong[Depth];
    private readonly Semaphore _timeline;
    private int _current;
    private bool _recording;
    private int _commands;
    private double _operations;
    private DeviceException? _failure;

    public CommandStream(Vk api, Device device, uint queueFamily)
    {
        (_api, _device) = (api, device);
        api.GetDeviceQueue(device, queueFamily, 0, out _queue);
        try
        {
            var pool = new CommandPoolCreateInfo(flags: CommandPoolCreateFlags.ResetCommandBufferBit, queueFamilyIndex: queueFamily);
            api.CreateCommandPool(device, in pool, null, out _pool).Check("vkCreateCommandPool");
            var allocate = new CommandBufferAllocateInfo(commandPool: _pool, level: CommandBufferLevel.Primary, commandBufferCount: Depth);
            fixed (CommandBuffer* p = _buffers) api.AllocateCommandBuffers(device, in allocate, p).Check("vkAllocateCommandBuffers");
            var type = new SemaphoreTypeCreateInfo(semaphoreType: SemaphoreType.Timeline, initialValue: 0);
            var semaphore = new SemaphoreCreateInfo(pNext: &type);
            api.CreateSemaphore(device, in semaphore, null, out _timeline).Check("vkCreateSemaphore");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The timeline value that the commands being recorded now will signal.</summary>
    public ulong Pending { get; private set; } = 1;

    /// <summary>What times each command; null, as nearly always, for nothing.</summary>
    public CommandTimer? Timer { get; set; }

    /// <summary>
    /// The command buffer to record one command into, behind a barrier after all commands before it.
    /// </summary>
    /// <param name="operations">Rough count of arithmetic operations, to keep submissions short.</param>
    public CommandBuffer Next(double operations = 0)
    {
        ThrowIfFailed();
        if (_recording && (_commands >= CommandsPerSubmission || (_commands > 0 && _operations + operations > OperationsPerSubmission))) Submit();
        if (!_recording) Begin();
        CommandBuffer buffer = _buffers[_current];
        Timer?.EndCommand(buffer);
        const AccessFlags Access = AccessFlags.ShaderReadBit | AccessFlags.ShaderWriteBit | AccessFlags.TransferReadBit | AccessFlags.TransferWriteBit;
        const PipelineStageFlags Stages = PipelineStageFlags.ComputeShaderBit | PipelineStageFlags.TransferBit;
        var barrier = new MemoryBarrier(srcAccessMask: AccessFlags.ShaderWriteBit | AccessFlags.TransferWriteBit, dstAccessMask: Access);
        _api.CmdPipelineBarrier(buffer, Stages, Stages, 0, 1, &barrier, 0, null, 0, null);
        Timer?.BeginCommand(buffer);
        _commands++;
        _operations += operations;
        return buffer;
    }

    /// <summary>Hands over what has been recorded; returns the timeline value that its end signals.</summary>
    public ulong Submit()
    {
        ThrowIfFailed();
        if (!_recording) return Pending - 1;
        try
        {
            return SubmitRecorded();
        }
        catch (DeviceException e)
        {
            // What was recorded is lost, so nothing that comes after it could be right.
            _failure = e;
            throw;
        }
    }

    private ulong SubmitRecorded()
    {
        CommandBuffer buffer = _buffers[_current];
        Timer?.EndCommand(buffer);
        // What the host reads back after waiting must be visible to it.
        var barrier = new MemoryBarrier(srcAccessMask: AccessFlags.TransferWriteBit, dstAccessMask: AccessFlags.HostReadBit);
        _api.CmdPipelineBarrier(buffer, PipelineStageFlags.TransferBit, PipelineStageFlags.HostBit, 0, 1, &barrier, 0, null, 0, null);
        _api.EndCommandBuffer(buffer).Check("vkEndCommandBuffer");
        ulong signal = Pending;
        Semaphore semaphore = _timeline;
        var timeline = new TimelineSemaphoreSubmitInfo(signalSemaphoreValueCount: 1, pSignalSemaphoreValues: &signal);
        var submit = new SubmitInfo(pNext: &timeline, commandBufferCount: 1, pCommandBuffers: &buffer, signalSemaphoreCount: 1, pSignalSemaphores: &semaphore);
        _recording = false;
        _api.QueueSubmit(_queue, 1, in submit, default).Check("vkQueueSubmit");
        _submittedAt[_current] = signal;
        _current = (_current + 1) % Depth;
        Pending++;
        return signal;
    }

    /// <summary>Waits until the timeline has reached a value; the value must have been submitted.</summary>
    public void Wait(ulong value)
    {
        if (value == 0) return;
        Semaphore semaphore = _timeline;
        var wait = new SemaphoreWaitInfo(semaphoreCount: 1, pSemaphores: &semaphore, pValues: &value);
        _api.WaitSemaphores(_device, in wait, ulong.MaxValue).Check("vkWaitSemaphores");
    }

    /// <summary>Submits what is recorded and waits for everything.</summary>
    public void Finish() => Wait(Submit());

    /// <summary>Waits until the device does nothing any more, for destruction: what is recorded is dropped, and no failure matters.</summary>
    public void Drain() => _api.DeviceWaitIdle(_device);

    public void Dispose()
    {
        _api.DestroySemaphore(_device, _timeline, null);
        _api.DestroyCommandPool(_device, _pool, null);
    }

    private void ThrowIfFailed()
    {
        if (_failure is { } e) throw new DeviceException($"The device cannot go on after an earlier error: {e.Message}", e);
    }

    private void Begin()
    {
        Wait(_submittedAt[_current]);
        var begin = new CommandBufferBeginInfo(flags: CommandBufferUsageFlags.OneTimeSubmitBit);
        _api.BeginCommandBuffer(_buffers[_current], in begin).Check("vkBeginCommandBuffer");
        (_recording, _commands, _operations) = (true, 0, 0);
    }
}
