using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>
/// Runs a stage on a thread of its own, wave after wave. The device is given a micro-batch while it still computes the one before; results
/// are waited for when the device has enough to do, or when there is nothing else to give it.
/// </summary>
internal sealed class StageWorker : IDisposable
{
    /// <summary>Micro-batches a device is given before the results of the first are waited for: the one it computes, and the next.</summary>
    private const int InFlight = 2;

    private readonly Stage _stage;
    private readonly int _number;
    private readonly ITimeline? _timeline;
    private readonly BlockingCollection<WaveJob> _jobs = [];
    private readonly Queue<Pending> _pending = new();
    private readonly Thread _thread;
    private long _idleSince = Stopwatch.GetTimestamp();
    private volatile bool _ends;

    /// <summary>A micro-batch that the device has been given, and what is to come of it.</summary>
    private sealed record Pending(WaveJob Job, MicroBatch Batch, bool IsLast, long Begun, IReadback? Hidden, PendingReadout? Readout);

    public StageWorker(Stage stage, int number, ITimeline? timeline)
    {
        (_stage, _number, _timeline) = (stage, number, timeline);
        _thread = new Thread(Work) { IsBackground = true, Name = stage.Device.Info.Id };
        _thread.Start();
    }

    /// <summary>Adds a wave to those to be computed.</summary>
    public void Add(WaveJob job) => _jobs.Add(job);

    /// <summary>Ends the thread, after the micro-batches that the device has been given; it is idle then. Waves that are not done are given up.</summary>
    public void Dispose()
    {
        _ends = true;
        _jobs.CompleteAdding();
        _thread.Join();
        _jobs.Dispose();
    }

    private void Work()
    {
        while (true)
        {
            if (!_jobs.TryTake(out WaveJob? job))
            {
                if (FinishOldest()) continue;
                if (!_jobs.TryTake(out job, Timeout.Infinite)) return;
            }

            try
            {
                if (_ends) job.GiveUp();
                if (!job.IsOver) Run(job);
            }
            catch (OperationCanceledException) when (job.IsOver)
            {
                // Nobody waits for it any more.
            }
            catch (Exception e)
            {
                job.Fail(Named(e));
            }
            finally
            {
                job.Release();
            }
        }
    }

    private void Run(WaveJob job)
    {
        int left = job.Wave.Batches.Count;
        // Layers that stay on the device need not meet the whole wave one by one, and the first results come sooner.
        foreach (IReadOnlyList<MicroBatch> run in _stage.Streams ? [job.Wave.Batches] : job.Wave.Runs())
        {
            long[] begun = new long[run.Count];
            _stage.Run(run, job.Compute,
                (i, residual) =>
                {
                    while (_pending.Count >= InFlight) FinishOldest();
                    if (!_stage.IsFirst) Receive(job, residual);
                    if (_ends) job.GiveUp();
                    if (job.IsOver) throw new OperationCanceledException();
                    begun[i] = Stopwatch.GetTimestamp();
                },
                (i, hidden) =>
                {
                    while (_pending.Count >= InFlight) FinishOldest();
                    _pending.Enqueue(Begin(job, run[i], --left == 0, begun[i], hidden));
                },
                _stage.Streams ? () => FinishBefore(job) : null,
                job.Trace);
        }
    }

    /// <summary>
    /// Passes on what is left of earlier waves. Bringing layers in takes long: the stage behind must not wait until this one is through.
    /// </summary>
    private void FinishBefore(WaveJob job)
    {
        while (_pending.TryPeek(out Pending? oldest) && oldest.Job != job) FinishOldest();
    }

    /// <summary>Writes the hidden states that the stage before has for the next micro-batch.</summary>
    private void Receive(WaveJob job, ITensor residual)
    {
        float[]? hidden;
        while (!job.TryTake(_number, out hidden))
        {
            // The stage behind must not wait for what lies here while this one waits.
            if (FinishOldest()) continue;
            if (!job.Take(_number, out hidden)) throw new OperationCanceledException();
            break;
        }

        _stage.Device.Write(residual, 0, hidden!.AsSpan(0, residual.Rows * residual.Columns));
        ArrayPool<float>.Shared.Return(hidden!);
    }

    private Pending Begin(WaveJob job, MicroBatch batch, bool isLast, long begun, ITensor hidden)
    {
        IReadback? states = !_stage.IsLast || job.WantsHidden ? _stage.Device.BeginRead(hidden) : null;
        try
        {
            var pending = new Pending(job, batch, isLast, begun, states, _stage.Head?.Begin(hidden, [.. batch.TokenCounts]));
            job.Hold();
            return pending;
        }
        catch
        {
            states?.Dispose();
            throw;
        }
    }

    /// <summary>Waits for the oldest micro-batch that the device has been given, and passes on what came of it; false if there is none.</summary>
    private bool FinishOldest()
    {
        if (!_pending.TryDequeue(out Pending? oldest)) return false;
        try
        {
            if (!oldest.Job.IsOver) Finish(oldest);
        }
        catch (Exception e)
        {
            oldest.Job.Fail(Named(e));
        }
        finally
        {
            oldest.Hidden?.Dispose();
            oldest.Readout?.Dispose();
            oldest.Job.Release();
        }

        if (oldest.IsLast && _stage.IsLast) oldest.Job.Complete();
        return true;
    }

    private void Finish(Pending oldest)
    {
        int count = (_stage.IsLast ? oldest.Batch.Texts.Length : oldest.Batch.Rows) * _stage.Columns;
        float[] hidden = oldest.Hidden is null ? [] : ArrayPool<float>.Shared.Rent(count);
        oldest.Hidden?.Finish(hidden.AsSpan(0, count));
        Reward[] rewards = oldest.Readout?.Finish() ?? [];
        Done(oldest);
        if (_stage.IsLast) oldest.Job.Add(rewards, oldest.Job.WantsHidden ? hidden.AsSpan(0, count) : []);
        else oldest.Job.HandTo(_number + 1, hidden);
    }

    /// <summary>The device was at a micro-batch from when it was given it, or was done with the one before, until now.</summary>
    private void Done(Pending oldest)
    {
        long now = Stopwatch.GetTimestamp();
        _timeline?.Add(new TimelineSpan(_stage.Name, $"{oldest.Batch.Rows} tokens", Math.Max(oldest.Begun, _idleSince), now));
        _idleSince = now;
    }

    /// <summary>Says of a device's failure which one it was, where there are several.</summary>
    private Exception Named(Exception e) =>
        e is DeviceException failure && !_stage.IsWhole ? new DeviceException($"{_stage.Name}: {failure.Message}", failure, failure.Failure) : e;
}
