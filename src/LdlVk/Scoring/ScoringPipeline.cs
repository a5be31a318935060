using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Caching;
using LdlVk.Runtime.Execution;

namespace LdlVk.Scoring;

/// <summary>
/// The pending waves of one call: while the devices compute some, the next is prepared and handed over. Concurrent callers alternate, wave
/// by wave.
/// <para>
/// If a device is lost, the wave is scored once more on devices opened afresh. If memory does not suffice, the wave is scored once more in
/// smaller pieces; scores do not depend on the batch, so they have the same bits. Waves finish in order, each once.
/// </para>
/// </summary>
/// <param name="modelLock">The model.</param>
/// <param name="depth">How many waves are pending: enough that no device waits for the next.</param>
/// <param name="sharePrefixes">Whether pieces of a wave share prefixes.</param>
/// <param name="done">Told of each micro-batch that is done.</param>
/// <param name="warn">Told what failed and is scored once more.</param>
/// <param name="cancellationToken">Ends it.</param>
internal sealed class ScoringPipeline(
    ModelLock modelLock, int depth, bool sharePrefixes, Action<MicroBatch> done, Action<Notice> warn, CancellationToken cancellationToken)
        : IDisposable
{
    private readonly Queue<Entry> _entries = new();

    /// <summary>A wave that the devices were given, or why it could not be.</summary>
    private sealed record Entry(ScoringWindow Window, Wave Wave, int Generation, PendingWave? Pending, DeviceException? Failure);

    /// <summary>Packs a window's texts, with the prompt cache if there is one.</summary>
    public IEnumerator<Wave> Pack(ScoringWindow window)
    {
        using ModelLock.Holder holder = modelLock.Acquire(cancellationToken);
        // The wave that is computed twice to measure the error of a mode would take what that mode left in the cache.
        PromptCache? cache = holder.Model.MeasuresNextWave ? null : holder.Model.Cache;
        return holder.Model.Plan.Pack(window.Valid, sharePrefixes, cache).GetEnumerator();
    }

    /// <summary>
    /// Hands the next wave of a window's texts to the devices; the oldest of those under way is finished first if there are enough. False
    /// if there is none.
    /// </summary>
    public bool AddNext(ScoringWindow window, IEnumerator<Wave> waves)
    {
        if (_entries.Count == depth) FinishOldest();
        using ModelLock.Holder holder = modelLock.Acquire(cancellationToken);
        // Under the lock: no other caller's wave comes between what the packing found in the prompt cache and the wave that takes it.
        if (!waves.MoveNext()) return false;
        Wave wave = waves.Current;
        try
        {
            PendingWave pending = holder.Model.Engine(cancellationToken).Begin(wave);
            _entries.Enqueue(new Entry(window, wave, holder.Model.Generation, pending, null));
        }
        catch (Exception e) when (e is DeviceException or CacheMissException)
        {
            // What can be done about it is done when those before it are through.
            _entries.Enqueue(new Entry(window, wave, holder.Model.Generation, null, e as DeviceException));
        }

        return true;
    }

    /// <summary>Waits for the oldest wave and hands its rewards to its window; false if there is none.</summary>
    public bool FinishOldest()
    {
        if (!_entries.TryPeek(out Entry? entry)) return false;
        // Without the lock: meanwhile others hand over their waves, so that callers with single texts keep the devices busy too.
        Reward[]? rewards = Wait(entry, out DeviceException? failure);
        using (ModelLock.Holder holder = modelLock.Acquire(cancellationToken))
        {
            bool again = rewards is null;
            rewards ??= ScoreAgain(entry, failure, holder.Model);
            holder.Model.Measure(entry.Wave, rewards);
            entry.Window.Add(entry.Wave, rewards, again);
        }

        _entries.Dequeue();
        foreach (MicroBatch batch in entry.Wave.Batches) done(batch);
        return true;
    }

    /// <summary>Gives up what is under way.</summary>
    public void Dispose()
    {
        foreach (Entry entry in _entries) entry.Pending?.Dispose();
        _entries.Clear();
    }

    /// <summary>Waits for a wave's rewards; null if there are none, and why if it was the wave's own failure.</summary>
    private static Reward[]? Wait(Entry entry, out DeviceException? failure)
    {
        failure = entry.Failure;
        try
        {
            return entry.Pending?.Finish();
        }
        catch (DeviceException e)
        {
            failure = e;
        }
        catch (Exception e) when (e is OperationCanceledException or CacheMissException)
        {
            // It was given up, together with another for which the devices were opened again; or the prompt cache had been emptied.
        }
        finally
        {
            entry.Pending?.Dispose();
        }

        return null;
    }

    private Reward[] ScoreAgain(Entry entry, DeviceException? failure, PlacedModel model)
    {
        IReadOnlyList<PackedText> texts = [.. entry.Wave.Texts.Select(t => entry.Window.Valid[t])];
        try
        {
            // A wave that was lost together with another, on which the device was given up, has not had its own chance.
            if (failure is null || entry.Generation != model.Generation) return ScoreWhole();
        }
        catch (DeviceException e)
        {
            failure = e;
        }

        try
        {
            switch (failure!.Failure)
            {
                case DeviceFailure.Lost:
                    warn($"{model.Name} was lost: {failure.Notice} It is opened again, the weights are loaded again, and the batch is "
                        + $"scored once more.");
                    model.Reload(cancellationToken);
                    return ScoreWhole();
                case DeviceFailure.OutOfMemory:
                    warn($"{model.Name} has not enough memory for {Sizes(entry.Wave)}: {failure.Notice} The batch is scored once more, in "
                        + $"smaller pieces.");
                    model.Cache?.Shrink();
                    return ScorePieces(texts, entry.Wave.Batches.Max(b => b.Rows) / 2, model);
                default:
                    throw failure;
            }
        }
        catch (DeviceException e)
        {
            string again = e == failure ? "" : ", also when it was tried once more";
            throw new DeviceException($"{model.Name} failed at {Sizes(entry.Wave)}{again}: {e.Notice}", e, e.Failure);
        }

        // A wave that takes from the prompt cache, or leaves something there, is computed once; without the cache it is packed anew.
        Reward[] ScoreWhole() => entry.Wave.UsesCache ? ScorePieces(texts, model.Plan.BatchTokens, model) : Score(entry.Wave, model);
    }

    private Reward[] Score(Wave wave, PlacedModel model)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return model.Engine(cancellationToken).Score(wave);
    }

    /// <summary>Packs texts into batches of fewer tokens, and those that are still too large again, down to single texts.</summary>
    private Reward[] ScorePieces(IReadOnlyList<PackedText> texts, int maxTokens, PlacedModel model)
    {
        var rewards = new Reward[texts.Count];
        foreach (MicroBatch piece in Packer.Pack(texts, Math.Max(1, maxTokens), sharePrefixes))
        {
            Reward[] some;
            try
            {
                some = Score(new Wave([piece]), model);
            }
            catch (DeviceException e) when (e.Failure == DeviceFailure.OutOfMemory && piece.Texts.Length > 1)
            {
                some = ScorePieces([.. piece.Texts.Select(t => texts[t])], maxTokens / 2, model);
            }

            for (int i = 0; i < some.Length; i++) rewards[piece.Texts[i]] = some[i];
        }

        return rewards;
    }

    private static string Sizes(Wave wave)
    {
        int texts = wave.Texts.Count();
        string batches = wave.Batches.Count == 1 ? "a batch" : $"{wave.Batches.Count} batches";
        return $"{batches} of {wave.Rows} tokens ({texts} {(texts == 1 ? "text" : "texts")}, the longest of {wave.TokenCounts.Max()} "
            + $"tokens)";
    }
}
