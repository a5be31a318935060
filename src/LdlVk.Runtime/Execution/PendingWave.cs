using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>
/// A wave on its way through the stages. Each stage takes the hidden states of its micro-batches from the stage before as they come, and
/// the last adds their rewards. Thread-safe.
/// </summary>
internal sealed class WaveJob(Wave wave, ComputeMode compute, ITrace? trace, bool wantsHidden, int stages)
{
    private readonly BlockingCollection<float[]>[] _handovers = [.. Enumerable.Range(0, stages).Select(_ => new BlockingCollection<float[]>())];
    private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ManualResetEventSlim _released = new();
    private readonly List<Reward> _rewards = [];
    private readonly List<float> _hidden = [];
    private int _holders = stages;

    public Wave Wave => wave;

    public ComputeMode Compute => compute;

    public ITrace? Trace => trace;

    public bool WantsHidden => wantsHidden;

    /// <summary>Whether nobody waits for it any more: it is done, failed or given up.</summary>
    public bool IsOver => _end.Task.IsCompleted;

    /// <summary>Says that one more has something of it on a device; each stage is one from the beginning.</summary>
    public void Hold() => Interlocked.Increment(ref _holders);

    /// <summary>Says that one less has.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _holders) == 0) _released.Set();
    }

    /// <summary>Waits until nothing of it is on a device.</summary>
    public void WaitUntilReleased() => _released.Wait();

    /// <summary>Hands the hidden states of the next micro-batch to a stage; from a pooled array, which becomes its to return.</summary>
    public void HandTo(int stage, float[] hidden)
    {
        try
        {
            _handovers[stage].Add(hidden);
        }
        catch (InvalidOperationException)
        {
            // It was over in the meantime.
            ArrayPool<float>.Shared.Return(hidden);
        }
    }

    /// <summary>The hidden states of a stage's next micro-batch, if they are there.</summary>
    public bool TryTake(int stage, out float[]? hidden) => _handovers[stage].TryTake(out hidden);

    /// <summary>As <see cref="TryTake"/>, and waits for them; false if the job is over.</summary>
    public bool Take(int stage, out float[]? hidden) => _handovers[stage].TryTake(out hidden, Timeout.Infinite);

    /// <summary>Adds the rewards of the next micro-batch, and what the heads read if it is wanted.</summary>
    public void Add(Reward[] rewards, ReadOnlySpan<float> hidden)
    {
        _rewards.AddRange(rewards);
        _hidden.AddRange(hidden);
    }

    /// <summary>Ends the job with all rewards.</summary>
    public void Complete() => End(() => _end.TrySetResult());

    /// <summary>Ends the job with an error.</summary>
    public void Fail(Exception e) => End(() => _end.TrySetException(e));

    /// <summary>Ends the job because nobody wants it any more.</summary>
    public void GiveUp() => End(() => _end.TrySetCanceled());

    /// <summary>Waits for the end.</summary>
    /// <returns>The rewards in the order of <see cref="Wave.Texts"/>, and what the heads read.</returns>
    public (Reward[] Rewards, float[] Hidden) Wait()
    {
        try
        {
            _end.Task.Wait();
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }

        return ([.. _rewards], [.. _hidden]);
    }

    private void End(Func<bool> end)
    {
        if (!end()) return;
        foreach (BlockingCollection<float[]> handover in _handovers) handover.CompleteAdding();
    }
}
