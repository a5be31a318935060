using System.Diagnostics;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Memory;
using Silk.NET.Vulkan;
using Semaphore = Silk.NET.Vulkan.Semaphore;

namespace LdlVk.Vulkan.Commands;

/// <summary>
/// An ordered stream of commands on one queue. It records into a command buffer, submits that when it holds enough work, and counts
/// submissions on a timeline semaphore. <see cref="Hazards"/> decides where a barrier is needed, also across submissions: a barrier
/// covers everything that was submitted to its queue before.
/// </summary>
/// <remarks>
/// Command buffers are recorded again for each pass, not kept by shape. Recording a pass of 46 layers, some 720 commands, was measured at
/// 1.1 ms (1.5 µs a command; llvmpipe, hidden size 64), while the device still computes the previous batch. A pass of the 27B shapes with
/// 4096 tokens takes 0.7 s on a card of 300 TFLOP/s: keeping command buffers could save 0.2 % of it, which already overlaps.
/// </remarks>
internal sealed unsafe class CommandStream : IDisposable
{
    /// <summary>Recording waits when so many submissions are in flight: that keeps any device busy, and bounds memory.</summary>
    private const int MaxInFlight = 256;

    private const int CommandsPerSubmission = 256;

    private readonly Vk _api;
    private readonly VkDevice _device;
    private readonly Queue _queue;
    private readonly CommandPool _pool;
    private readonly Semaphore _timeline;
    private readonly PipelineStageFlags _stages = PipelineStageFlags.TransferBit;
    private readonly AccessFlags _reads = AccessFlags.TransferReadBit, _writes = AccessFlags.TransferWriteBit;
    private readonly SubmissionBudget _budget;
    private readonly Hazards _hazards = new();
    private readonly Stack<CommandBuffer> _idle = new();
    private readonly Queue<Submission> _inFlight = new();

    private CommandBuffer? _recording;
    private int _commands;
    private double _operations;
    private Work _largest;
    private CommandStream? _other;
    private ulong _awaited;
    private bool _awaits;
    private ulong _reached;
    private DeviceException? _failure;

    private readonly record struct Submission(ulong Value, CommandBuffer Buffer, double Operations, Work Largest, long Time);

    /// <summary>Makes the stream of a queue.</summary>
    /// <param name="api">The loader.</param>
    /// <param name="device">The device.</param>
    /// <param name="family">The queue's family.</param>
    /// <param name="queue">The queue's number in its family.</param>
    /// <param name="computes">Whether the stream has dispatches; without them it has copies only, and the family need not compute.</param>
    /// <param name="watched">Whether the operating system resets the device when a submission runs for seconds.</param>
    public CommandStream(Vk api, VkDevice device, uint family, uint queue, bool computes, bool watched)
    {
        (_api, _device, _budget) = (api, device, new SubmissionBudget(watched));
        if (computes)
        {
            _stages |= PipelineStageFlags.ComputeShaderBit;
            _reads |= AccessFlags.ShaderReadBit;
            _writes |= AccessFlags.ShaderWriteBit;
        }

        api.GetDeviceQueue(device, family, queue, out _queue);
        try
        {
            var pool = new CommandPoolCreateInfo(flags: CommandPoolCreateFlags.ResetCommandBufferBit, queueFamilyIndex: family);
            api.CreateCommandPool(device, in pool, null, out _pool).Check("vkCreateCommandPool");
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

    /// <summary>The timeline value at which everything recorded so far is done.</summary>
    public ulong Recorded => _recording is null ? Pending - 1 : Pending;

    /// <summary>Times each command; usually null. While a timer is set, commands do not overlap.</summary>
    public CommandTimer? Timer { get; set; }

    /// <summary>Operations of one submission, and of one dispatch where it can be split.</summary>
    public double Budget => _budget.Operations;

    /// <summary>Barriers recorded so far.</summary>
    public long Barriers { get; private set; }

    /// <summary>Begins a command: records a barrier if it needs one, and returns the command buffer to record it into.</summary>
    /// <param name="work">What the command does.</param>
    /// <param name="reads">The ranges that the command reads, of the memory that commands of this stream write.</param>
    /// <param name="writes">The ranges that it writes.</param>
    public CommandBuffer Next(in Work work, ReadOnlySpan<MemoryRange> reads, ReadOnlySpan<MemoryRange> writes)
    {
        ThrowIfFailed();
        AwaitUses(reads);
        AwaitUses(writes);
        if (_commands >= CommandsPerSubmission || (_commands > 0 && _operations + work.Operations > Budget)) Submit();
        CommandBuffer buffer = _recording ??= Begin();
        Timer?.EndCommand(buffer);
        if (_hazards.NeedsBarrier(reads, writes) || Timer is not null)
        {
            var barrier = new MemoryBarrier(srcAccessMask: _writes, dstAccessMask: _reads | _writes);
            _api.CmdPipelineBarrier(buffer, _stages, _stages, 0, 1, &barrier, 0, null, 0, null);
            Barriers++;
        }

        Timer?.BeginCommand(buffer);
        foreach (MemoryRange range in reads) range.Shared?.Note(this, Pending);
        foreach (MemoryRange range in writes) range.Shared?.Note(this, Pending);
        _commands++;
        _operations += work.Operations;
        if (_largest.Op is null || work.Operations > _largest.Operations) _largest = work;
        return buffer;
    }

    /// <summary>
    /// Makes the commands recorded from now on wait, on the device, until another stream has reached a value of its timeline. The other
    /// stream is always the same one. It is submitted when this one is, so it must not wait for what is being recorded here: of two
    /// streams that wait for each other, one submits first (<see cref="WeightFiller.Fill"/>).
    /// </summary>
    public void Await(CommandStream other, ulong value)
    {
        // A wait holds for everything that comes later on the queue.
        if (value > _awaited) (_other, _awaited, _awaits) = (other, value, true);
    }

    /// <summary>Submits what has been recorded; returns the timeline value that its end signals.</summary>
    public ulong Submit()
    {
        ThrowIfFailed();
        if (_recording is not { } buffer) return Pending - 1;
        try
        {
            Submit(buffer);
        }
        catch (DeviceException e)
        {
            // The recorded commands are lost, so later ones would compute with wrong data.
            _failure = new DeviceException(e.Notice, e.InnerException, DeviceFailure.Lost);
            throw _failure;
        }

        Reached(Pending - 1);
        return Pending - 1;
    }

    /// <summary>Asks the device, without waiting, whether the timeline has reached a value.</summary>
    public bool Reached(ulong value)
    {
        if (value <= _reached) return true;
        ulong now;
        Check(_api.GetSemaphoreCounterValue(_device, _timeline, &now), "vkGetSemaphoreCounterValue");
        Retire(now);
        return value <= now;
    }

    /// <summary>Waits until the timeline has reached a value; the value must have been submitted.</summary>
    public void Wait(ulong value)
    {
        if (Reached(value)) return;
        Semaphore semaphore = _timeline;
        var wait = new SemaphoreWaitInfo(semaphoreCount: 1, pSemaphores: &semaphore, pValues: &value);
        Check(_api.WaitSemaphores(_device, in wait, ulong.MaxValue), "vkWaitSemaphores");
        Retire(value);
    }

    /// <summary>Submits what is recorded and waits for everything.</summary>
    public void Finish() => Wait(Submit());

    /// <summary>Waits until the device is idle, before destruction: recorded commands are dropped, and failures are ignored.</summary>
    public void Drain() => _api.DeviceWaitIdle(_device);

    public void Dispose()
    {
        _api.DestroySemaphore(_device, _timeline, null);
        _api.DestroyCommandPool(_device, _pool, null);
    }

    /// <summary>Makes the next command wait for the other stream's uses of its memory.</summary>
    private void AwaitUses(ReadOnlySpan<MemoryRange> ranges)
    {
        foreach (MemoryRange range in ranges)
        {
            if (range.Shared is not { } shared) continue;
            (CommandStream? other, ulong value) = shared.Before(this);
            if (value <= _awaited) continue;
            // Commands recorded earlier need not wait: submit them first.
            if (_commands > 0 && !other!.Reached(value)) Submit();
            Await(other!, value);
        }
    }

    private CommandBuffer Begin()
    {
        if (_inFlight.Count >= MaxInFlight) Wait(_inFlight.Peek().Value);
        if (!_idle.TryPop(out CommandBuffer buffer))
        {
            var allocate = new CommandBufferAllocateInfo(commandPool: _pool, level: CommandBufferLevel.Primary, commandBufferCount: 1);
            _api.AllocateCommandBuffers(_device, in allocate, out buffer).Check("vkAllocateCommandBuffers");
        }

        var begin = new CommandBufferBeginInfo(flags: CommandBufferUsageFlags.OneTimeSubmitBit);
        _api.BeginCommandBuffer(buffer, in begin).Check("vkBeginCommandBuffer");
        (_commands, _operations, _largest) = (0, 0, default);
        return buffer;
    }

    private void Submit(CommandBuffer buffer)
    {
        Timer?.EndCommand(buffer);
        // After waiting, the host must see what the device wrote, and the device must not write out what the host overwrites.
        var barrier = new MemoryBarrier(srcAccessMask: _writes, dstAccessMask: AccessFlags.HostReadBit | AccessFlags.HostWriteBit);
        _api.CmdPipelineBarrier(buffer, _stages, PipelineStageFlags.HostBit, 0, 1, &barrier, 0, null, 0, null);
        _api.EndCommandBuffer(buffer).Check("vkEndCommandBuffer");
        if (_awaits && _awaited >= _other!.Pending) _other.Submit();
        ulong signal = Pending, awaited = _awaited;
        uint waits = _awaits ? 1u : 0u;
        Semaphore semaphore = _timeline, other = _other?._timeline ?? default;
        PipelineStageFlags stages = _stages;
        var timeline = new TimelineSemaphoreSubmitInfo(
            waitSemaphoreValueCount: waits, pWaitSemaphoreValues: &awaited, signalSemaphoreValueCount: 1, pSignalSemaphoreValues: &signal);
        var submit = new SubmitInfo(pNext: &timeline, waitSemaphoreCount: waits, pWaitSemaphores: &other, pWaitDstStageMask: &stages,
            commandBufferCount: 1, pCommandBuffers: &buffer, signalSemaphoreCount: 1, pSignalSemaphores: &semaphore);
        Check(_api.QueueSubmit(_queue, 1, in submit, default), "vkQueueSubmit");
        _inFlight.Enqueue(new Submission(signal, buffer, _operations, _largest, Stopwatch.GetTimestamp()));
        (_recording, _awaits, _commands) = (null, false, 0);
        Pending++;
    }

    /// <summary>Notes that the timeline has reached a value: reuses its command buffers, and measures the device's speed.</summary>
    private void Retire(ulong value)
    {
        _reached = Math.Max(_reached, value);
        double operations = 0;
        long first = _inFlight.TryPeek(out Submission oldest) ? oldest.Time : 0;
        while (_inFlight.TryPeek(out Submission done) && done.Value <= _reached)
        {
            operations += done.Operations;
            _idle.Push(done.Buffer);
            _inFlight.Dequeue();
        }

        _budget.Completed(operations, Stopwatch.GetElapsedTime(first));
    }

    /// <summary>Throws if a call failed, and names the work in flight. After a lost device every later call throws too.</summary>
    private void Check(Result result, string call)
    {
        if (result >= Result.Success) return;
        string work = string.Join(", ", _inFlight.Select(s => s.Largest.ToString()).Distinct().Take(4));
        try
        {
            result.Check(work.Length == 0 ? call : $"{call} (in flight: {work})");
        }
        catch (DeviceException e) when (e.Failure == DeviceFailure.Lost)
        {
            _failure = e;
            throw;
        }
    }

    private void ThrowIfFailed()
    {
        if (_failure is { } e)
            throw new DeviceException($"The device cannot go on after an earlier error: {e.Notice}", e, DeviceFailure.Lost);
    }
}
