using System.Buffers;
using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Caching;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>
/// A wave that is queued on the devices, and its rewards once they are computed. Each stage takes the hidden states of its micro-batches
/// from the previous stage, and the last stage adds the rewards. Disposing it abandons the wave, and waits until no part of it is left on
/// a device. Thread-safe.
/// </summary>
public sealed class PendingWave : IDisposable
{
    private readonly BlockingCollection<float[]>[] _handovers;
    private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ManualResetEventSlim _released = new();
    private int _holders;

    internal PendingWave(Wave wave, ForwardOptions options, int stages, IReadOnlyList<CacheMove> moves)
    {
        (Wave, Options, _holders, Moves) = (wave, options, stages, moves);
        _handovers = [.. Enumerable.Range(0, stages).Select(_ => new BlockingCollection<float[]>())];
    }

    internal Wave Wave { get; }

    /// <summary>What the stages do in their caches before the wave, in order.</summary>
    internal IReadOnlyList<CacheMove> Moves { get; }

    /// <summary>What the last stage has read so far.</summary>
    internal WaveResults Results { get; } = new();

    internal ForwardOptions Options { get; }

    /// <summary>Whether the wave is over: done, failed or abandoned.</summary>
    internal bool IsOver => _end.Task.IsCompleted;

    /// <summary>Waits for the rewards; result i belongs to text i of <see cref="Wave.Texts"/>.</summary>
    /// <exception cref="DeviceException">A device failed.</exception>
    /// <exception cref="OperationCanceledException">The engine was disposed before.</exception>
    public Reward[] Finish() => FinishWithHidden().Rewards;

    /// <summary>
    /// As <see cref="Finish"/>, with the hidden state of each text that gave the score, if
    /// <see cref="ForwardOptions.ReadsHidden"/> asks for them.
    /// </summary>
    internal (Reward[] Rewards, float[] Hidden) FinishWithHidden()
    {
        try
        {
            _end.Task.Wait();
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }

        return ([.. Results.Rewards], [.. Results.Hidden]);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        GiveUp();
        _released.Wait();
    }

    /// <summary>Counts one more part of the wave on a device. Each stage counts as one part from the beginning.</summary>
    internal void Hold() => Interlocked.Increment(ref _holders);

    /// <summary>Counts one part less.</summary>
    internal void Release()
    {
        if (Interlocked.Decrement(ref _holders) == 0) _released.Set();
    }

    /// <summary>Passes the hidden states of the next micro-batch to a stage, in a pooled array that the stage returns.</summary>
    internal void HandTo(int stage, float[] hidden)
    {
        try
        {
            _handovers[stage].Add(hidden);
        }
        catch (InvalidOperationException)
        {
            // The wave has ended in the meantime.
            ArrayPool<float>.Shared.Return(hidden);
        }
    }

    /// <summary>Returns the hidden states of a stage's next micro-batch, if they are ready.</summary>
    internal bool TryTake(int stage, out float[]? hidden) => _handovers[stage].TryTake(out hidden);

    /// <summary>As <see cref="TryTake"/>, and waits for them; false if the wave is over.</summary>
    internal bool Take(int stage, out float[]? hidden) => _handovers[stage].TryTake(out hidden, Timeout.Infinite);

    /// <summary>Ends the wave with all rewards.</summary>
    internal void Complete() => End(Wave.Took, () => _end.TrySetResult());

    /// <summary>Ends the wave with an error.</summary>
    internal void Fail(Exception e) => End(Wave.Forget, () => _end.TrySetException(e));

    /// <summary>Ends the wave because it was abandoned.</summary>
    internal void GiveUp() => End(Wave.Forget, () => _end.TrySetCanceled());

    /// <summary>Ends the wave once. The prompt cache is told first: a caller who wakes up packs the next wave by what it says.</summary>
    private void End(Action tellCache, Func<bool> end)
    {
        if (IsOver) return;
        tellCache();
        if (!end()) return;
        foreach (BlockingCollection<float[]> handover in _handovers) handover.CompleteAdding();
    }
}
