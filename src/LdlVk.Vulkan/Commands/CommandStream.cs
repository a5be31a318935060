using System.Diagnostics;
using LdlVk.Runtime;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Memory;
using Silk.NET.Vulkan;
using Semaphore = Silk.NET.Vulkan.Semaphore;

namespace LdlVk.Vulkan.Commands;

/// <summary>
/// An ordered stream of commands on one queue: records into a command buffer, hands it over when it holds enough work, and counts
/// submissions on a timeline semaphore. Barriers stand where <see cref="Hazards"/> wants them, also across submissions: a barrier
/// reaches back to everything that was submitted to its queue before.
/// </summary>
/// <remarks>
/// Command buffers are recorded anew for each pass, not kept by shape. The whole host side of a pass of 46 layers, some 720 commands,
/// was measured at 1.1 ms (1.5 µs a command; llvmpipe, hidden size 64), while the device still computes the batch before. A pass of the
/// 27B shapes with 4096 tokens takes 0.7 s on a card of 300 TFLOP/s: what keeping them could save is 0.2 % of it, and hidden already.
/// </remarks>
internal sealed unsafe class CommandStream : IDisposable
{
    /// <summary>Submissions in flight beyond which recording waits: so far behind, a device is not idle, and memory must end somewhere.</summary>
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
    /// <param name="queue">The queue's number there.</param>
    /// <param name="computes">Whether there will be dispatches; else there are copies alone, and the family need not be able to compute.</param>
    /// <param name="watched">Whether a watchdog looks at the device.</param>
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

    /// <summary>The timeline value with which all that was recorded so far is done.</summary>
    public ulong Recorded => _recording is null ? Pending - 1 : Pending;

    /// <summary>What times each command; null, as nearly always, for nothing. While it is there, commands do not overlap.</summary>
    public CommandTimer? Timer { get; set; }

    /// <summary>Operations of one submission, and of one dispatch where it can be split.</summary>
    public double Budget => _budget.Operations;

    /// <summary>Barriers recorded so far.</summary>
    public long Barriers { get; private set; }

    /// <summary>The command buffer to record one command into, behind a barrier if it needs one.</summary>
    /// <param name="work">What it does.</param>
    /// <param name="reads">What it reads of the memory that commands of this stream write.</param>
    /// <param name="writes">What it writes.</param>
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
    /// Lets what is recorded now wait on the device until another stream, always the same one, has passed a value of its timeline. The
    /// other hands over what that takes when this does, so it must not wait for what is being recorded here: of two streams that wait for
    /// each other, one submits first (<see cref="WeightFiller.Fill"/>).
    /// </summary>
    public void Await(CommandStream other, ulong value)
    {
        // What has been waited for holds for all that comes later on a queue.
        if (value > _awaited) (_other, _awaited, _awaits) = (other, value, true);
    }

    /// <summary>Hands over what has been recorded; returns the timeline value that its end signals.</summary>
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
            // What was recorded is lost, so nothing that comes after it could be right.
            _failure = new DeviceException(e.Message, e.InnerException, DeviceFailure.Lost);
            throw _failure;
        }

        Reached(Pending - 1);
        return Pending - 1;
    }

    /// <summary>Whether the timeline has reached a value; asks the device, and does not wait.</summary>
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

    /// <summary>Waits until the device does nothing any more, for destruction: what is recorded is dropped, and no failure matters.</summary>
    public void Drain() => _api.DeviceWaitIdle(_device);

    public void Dispose()
    {
        _api.DestroySemaphore(_device, _timeline, null);
        _api.DestroyCommandPool(_device, _pool, null);
    }

    /// <summary>Lets the next command wait for what the other stream did to the memory it uses.</summary>
    private void AwaitUses(ReadOnlySpan<MemoryRange> ranges)
    {
        foreach (MemoryRange range in ranges)
        {
            if (range.Shared is not { } shared) continue;
            (CommandStream? other, ulong value) = shared.Before(this);
            if (value <= _awaited) continue;
            // What was recorded before does not need to wait.
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
        // What the host reads back after waiting must be visible to it, and what it overwrites must not be written out after that.
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

    /// <summary>Takes note that the timeline has reached a value: command buffers are free again, and the device's speed shows.</summary>
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

    /// <summary>Throws if a call failed, and names what the device was at; if the device is lost, so is everything to come.</summary>
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
        if (_failure is { } e) throw new DeviceException($"The device cannot go on after an earlier error: {e.Message}", e, DeviceFailure.Lost);
    }
}
