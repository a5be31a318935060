using LdlVk.Runtime;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;

namespace LdlVk.Scoring;

/// <summary>
/// The waves of one call that are under way: while the devices compute some, the next is prepared and handed over. Callers take turns, a
/// wave at a time.
/// <para>
/// A wave during which a device is lost is scored once more on devices opened afresh; one for which memory does not suffice is scored once
/// more in smaller pieces, which by the invariance of scores gives the same bits. Waves finish in order, each once.
/// </para>
/// </summary>
/// <param name="turns">The model.</param>
/// <param name="depth">Waves under way: enough that no device waits for the next.</param>
/// <param name="sharePrefixes">Whether pieces of a wave share prefixes.</param>
/// <param name="done">Told of each micro-batch that is done.</param>
/// <param name="cancellation">Ends it.</param>
internal sealed class ScoringPipeline(ScoringTurns turns, int depth, bool sharePrefixes, Action<MicroBatch> done, CancellationToken cancellation) : IDisposable
{
    private readonly Queue<Flight> _flights = new();

    /// <summary>A wave that the devices were given, or why it could not be.</summary>
    private sealed record Flight(ScoringWindow Window, Wave Wave, int Generation, PendingRewards? Pending, DeviceException? Failure);

    /// <summary>Hands a wave of a window's texts to the devices; the oldest of those under way is finished first if there are enough.</summary>
    public void Add(ScoringWindow window, Wave wave)
    {
        if (_flights.Count == depth) FinishOldest();
        using ScoringTurns.Turn turn = turns.Take(cancellation);
        try
        {
            PendingRewards pending = turn.Model.Engine(cancellation).Begin(wave);
            _flights.Enqueue(new Flight(window, wave, turn.Model.Generation, pending, null));
        }
        catch (DeviceException e)
        {
            // What can be done about it is done when those before it are through.
            _flights.Enqueue(new Flight(window, wave, turn.Model.Generation, null, e));
        }
    }

    /// <summary>Waits for the oldest wave and hands its rewards to its window; false if there is none.</summary>
    public bool FinishOldest()
    {
        if (!_flights.TryPeek(out Flight? flight)) return false;
        // Not during the caller's turn: meanwhile others hand over theirs, so that callers of single texts too keep the devices busy.
        Reward[]? rewards = Wait(flight, out DeviceException? failure);
        using (ScoringTurns.Turn turn = turns.Take(cancellation))
        {
            rewards ??= ScoreAgain(flight, failure, turn.Model);
            turn.Model.Measure(flight.Wave, rewards);
            flight.Window.Add(flight.Wave, rewards);
        }

        _flights.Dequeue();
        foreach (MicroBatch batch in flight.Wave.Batches) done(batch);
        return true;
    }

    /// <summary>Gives up what is under way.</summary>
    public void Dispose()
    {
        foreach (Flight flight in _flights) flight.Pending?.Dispose();
        _flights.Clear();
    }

    /// <summary>Waits for a wave's rewards; null if there are none, and why if it was the wave's own failure.</summary>
    private static Reward[]? Wait(Flight flight, out DeviceException? failure)
    {
        failure = flight.Failure;
        try
        {
            return flight.Pending?.Finish();
        }
        catch (DeviceException e)
        {
            failure = e;
        }
        catch (OperationCanceledException)
        {
            // It was given up, together with another for which the devices were opened again.
        }
        finally
        {
            flight.Pending?.Dispose();
        }

        return null;
    }

    private Reward[] ScoreAgain(Flight flight, DeviceException? failure, PlacedModel model)
    {
        try
        {
            // A wave that was lost together with another, on which the device was given up, has not had its own chance.
            if (flight.Generation != model.Generation) return Score(flight.Wave, model);
        }
        catch (DeviceException e)
        {
            failure = e;
        }

        IReadOnlyList<int[]> texts = [.. flight.Wave.Texts.Select(t => flight.Window.Valid[t])];
        try
        {
            switch (failure!.Failure)
            {
                case DeviceFailure.Lost:
                    turns.Warn($"{Name(model)} was lost: {failure.Message} It is opened again, the weights are loaded again, and the batch is scored once more.");
                    model.Reload(cancellation);
                    return Score(flight.Wave, model);
                case DeviceFailure.OutOfMemory:
                    turns.Warn($"{Name(model)} has not enough memory for {Sizes(flight.Wave)}: {failure.Message} The batch is scored once more, in smaller pieces.");
                    return ScorePieces(texts, flight.Wave.Batches.Max(b => b.Rows) / 2, model);
                default:
                    throw failure;
            }
        }
        catch (DeviceException e)
        {
            string again = e == failure ? "" : ", also when it was tried once more";
            throw new DeviceException($"{Name(model)} failed at {Sizes(flight.Wave)}{again}: {e.Message}", e, e.Failure);
        }
    }

    private Reward[] Score(Wave wave, PlacedModel model)
    {
        cancellation.ThrowIfCancellationRequested();
        return model.Engine(cancellation).Score(wave);
    }

    /// <summary>Packs texts into batches of fewer tokens, and those that are still too large again, down to single texts.</summary>
    private Reward[] ScorePieces(IReadOnlyList<int[]> texts, int maxTokens, PlacedModel model)
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

    private static string Name(PlacedModel model) => model.Name;

    private static string Sizes(Wave wave)
    {
        int texts = wave.Texts.Count();
        string batches = wave.Batches.Count == 1 ? "a batch" : $"{wave.Batches.Count} batches";
        return $"{batches} of {wave.Rows} tokens ({texts} {(texts == 1 ? "text" : "texts")}, the longest of {wave.TokenCounts.Max()} tokens)";
    }
}
