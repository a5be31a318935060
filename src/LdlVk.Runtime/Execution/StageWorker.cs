using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model.Heads;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>
/// Runs one wave after another through a stage, on a thread of its own. It queues a micro-batch on the device while the device still
/// computes the previous one, and waits for a result only when enough is queued or when there is nothing to queue.
/// </summary>
internal sealed class StageWorker : IDisposable
{
    /// <summary>
    /// Maximum micro-batches on a device: the one that it computes, and the next.
    /// </summary>
    private const int MaxQueued = 2;

    private readonly Stage _stage;
    private readonly StageWeights _weights;
    private readonly int _number;
    private readonly ITimeline? _timeline;
    private readonly BlockingCollection<PendingWave> _waves = [];
    private readonly Queue<QueuedOutput> _queued = new();
    private readonly Thread _thread;
    private long _idleSince = Stopwatch.GetTimestamp();
    private volatile bool _ends;

    /// <summary>A micro-batch that is queued on the device, and whether it is the last of its wave.</summary>
    private sealed record QueuedOutput(PendingWave Wave, StageOutput Output, bool IsLast);

    public StageWorker(Stage stage, int number, ITimeline? timeline)
    {
        (_stage, _weights, _number, _timeline) = (stage, stage.Weights, number, timeline);
        _thread = new Thread(Work) { IsBackground = true, Name = _weights.Device.Info.Id };
        _thread.Start();
    }

    /// <summary>Adds a wave to those to be computed.</summary>
    public void Add(PendingWave wave) => _waves.Add(wave);

    /// <summary>
    /// Ends the thread after the micro-batches that are queued on the device, which is idle then. Unfinished waves are abandoned.
    /// </summary>
    public void Dispose()
    {
        _ends = true;
        _waves.CompleteAdding();
        _thread.Join();
        _waves.Dispose();
    }

    private void Work()
    {
        while (true)
        {
            if (!_waves.TryTake(out PendingWave? wave))
            {
                if (FinishOldest()) continue;
                if (!_waves.TryTake(out wave, Timeout.Infinite)) return;
            }

            try
            {
                if (_ends) wave.GiveUp();
                // Also for a wave that was given up: the cache counts on it.
                else _stage.Cache.Follow(wave.Moves);
                if (!wave.IsOver) Queue(wave);
            }
            catch (OperationCanceledException) when (wave.IsOver)
            {
                // No caller waits for it any more.
            }
            catch (Exception e)
            {
                wave.Fail(Named(e));
            }
            finally
            {
                wave.Release();
            }
        }
    }

    /// <summary>Queues all micro-batches of a wave on the device.</summary>
    private void Queue(PendingWave wave)
    {
        int left = wave.Wave.Batches.Count;
        var link = new Link(this, wave);
        // Resident layers do not need the whole wave layer by layer; chain by chain gives the first results earlier.
        foreach (IReadOnlyList<MicroBatch> chain in _stage.Streams ? [wave.Wave.Batches] : wave.Wave.Chains())
        {
            foreach (StageOutput output in new ForwardPass(_weights, chain, wave.Options, link, _stage.Cache).Run())
            {
                _queued.Enqueue(new QueuedOutput(wave, output, IsLast: --left == 0));
                wave.Hold();
            }
        }
    }

    /// <summary>
    /// Waits for the oldest queued micro-batch and passes its result on; returns false if there is none.
    /// </summary>
    private bool FinishOldest()
    {
        if (!_queued.TryDequeue(out QueuedOutput? oldest)) return false;
        (PendingWave wave, StageOutput output, bool isLast) = oldest;
        try
        {
            if (!wave.IsOver) Finish(wave, output);
        }
        catch (Exception e)
        {
            wave.Fail(Named(e));
        }
        finally
        {
            output.Dispose();
            wave.Release();
        }

        if (isLast && _weights.IsLast) wave.Complete();
        return true;
    }

    private void Finish(PendingWave wave, StageOutput output)
    {
        int count = output.Rows * _weights.Config.HiddenSize;
        float[] hidden = output.Hidden is null ? [] : ArrayPool<float>.Shared.Rent(count);
        output.Hidden?.Finish(hidden.AsSpan(0, count));
        IReadOnlyList<HeadOutput> outputs = output.Readout?.Finish() ?? [];
        AddToTimeline(output);
        if (_weights.IsLast)
            wave.Results.Add(output.Batch, _weights.Head?.Head, outputs, output.Hidden is null ? [] : hidden[..count]);
        else wave.HandTo(_number + 1, hidden);
    }

    /// <summary>Records that the device computed a micro-batch until now, since it was queued or since the previous one was done.</summary>
    private void AddToTimeline(StageOutput output)
    {
        long now = Stopwatch.GetTimestamp();
        _timeline?.Add(new TimelineSpan(_stage.Name, $"{output.Batch.Rows} tokens", Math.Max(output.Entered, _idleSince), now));
        _idleSince = now;
    }

    /// <summary>Adds the stage to the message of a device's failure, if there are several stages.</summary>
    private Exception Named(Exception e) =>
        e is DeviceException failure && !_weights.IsWhole
            ? new DeviceException($"{_stage.Name}: {failure.Notice}", failure, failure.Failure) : e;

    /// <summary>
    /// Connects the forward pass of a wave with the previous and the next stage, and with the results that are not read yet.
    /// </summary>
    private sealed class Link(StageWorker worker, PendingWave wave) : IStageLink
    {
        private float[]? _hidden;

        public void WaitForInput()
        {
            WaitForRoom();
            if (!worker._weights.IsFirst) _hidden = Take();
            if (worker._ends) wave.GiveUp();
            if (wave.IsOver) throw new OperationCanceledException();
        }

        public void Receive(ITensor hidden)
        {
            worker._weights.Device.Write(hidden, 0, _hidden!.AsSpan(0, hidden.Rows * hidden.Columns));
            ArrayPool<float>.Shared.Return(_hidden!);
        }

        public void FirstLayerIsQueued()
        {
            // Uploading a streamed layer takes long: results of earlier waves must not wait here until that is done.
            if (!worker._stage.Streams) return;
            while (worker._queued.TryPeek(out QueuedOutput? oldest) && oldest.Wave != wave) worker.FinishOldest();
        }

        public void WaitForRoom()
        {
            while (worker._queued.Count >= MaxQueued) worker.FinishOldest();
        }

        /// <summary>Returns the hidden states of the next micro-batch from the previous stage.</summary>
        private float[] Take()
        {
            float[]? hidden;
            while (!wave.TryTake(worker._number, out hidden))
            {
                // The next stage must not wait for results that are ready here while this stage waits.
                if (worker.FinishOldest()) continue;
                if (!wave.Take(worker._number, out hidden)) throw new OperationCanceledException();
                break;
            }

            return hidden!;
        }
    }
}
