using LdlVk.Runtime;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Model;

namespace LdlVk;

/// <summary>
/// The micro-batches of one call that are under way: while the device computes one, the next is prepared and handed over. Callers take
/// turns, a batch at a time.
/// <para>
/// A batch during which the device is lost is scored once more on the device opened afresh; one for which memory does not suffice is
/// scored once more in smaller pieces, which by the invariance of scores gives the same bits. Batches finish in order, each once.
/// </para>
/// </summary>
internal sealed class ScoringPipeline(ScoringTurns turns, bool sharePrefixes, Action<MicroBatch> done, CancellationToken cancellation) : IDisposable
{
    /// <summary>The one being computed, and the one behind it.</summary>
    private const int Depth = 2;

    private readonly Queue<Flight> _flights = new();

    /// <summary>A batch that the device was given, or why it could not be.</summary>
    private sealed record Flight(ScoringWindow Window, MicroBatch Batch, int Generation, PendingRewards? Pending, DeviceException? Failure);

    /// <summary>Hands a batch of a window's texts to the device; the oldest of those under way is finished first if there are enough.</summary>
    public void Add(ScoringWindow window, MicroBatch batch)
    {
        if (_flights.Count == Depth) FinishOldest();
        using ScoringTurns.Turn turn = turns.Take(cancellation);
        try
        {
            PendingRewards pending = turn.Model.Engine(cancellation).Begin(batch);
            _flights.Enqueue(new Flight(window, batch, turn.Model.Generation, pending, null));
        }
        catch (DeviceException e)
        {
            // What can be done about it is done when those before it are through.
            _flights.Enqueue(new Flight(window, batch, turn.Model.Generation, null, e));
        }
    }

    /// <summary>Waits for the oldest batch and hands its rewards to its window; false if there is none.</summary>
    public bool FinishOldest()
    {
        if (!_flights.TryPeek(out Flight? flight)) return false;
        using (ScoringTurns.Turn turn = turns.Take(cancellation))
        {
            Reward[] rewards = Finish(flight, turn.Model);
            turn.Model.Measure(flight.Batch, rewards);
            flight.Window.Add(flight.Batch, rewards);
        }

        _flights.Dequeue();
        done(flight.Batch);
        return true;
    }

    /// <summary>Gives up what is under way.</summary>
    public void Dispose()
    {
        if (_flights.Count == 0) return;
        using (turns.TakeToCleanUp())
            foreach (Flight flight in _flights) flight.Pending?.Dispose();
        _flights.Clear();
    }

    private Reward[] Finish(Flight flight, PlacedModel model)
    {
        DeviceException? failure = flight.Failure;
        bool gone = flight.Generation != model.Generation;
        try
        {
            // A batch that was lost together with another, on which the device was given up, has not had its own chance.
            if (gone) return Score(flight.Batch, model);
            if (failure is null) return flight.Pending!.Finish();
        }
        catch (DeviceException e)
        {
            failure = e;
        }
        finally
        {
            flight.Pending?.Dispose();
        }

        IReadOnlyList<int[]> texts = [.. flight.Batch.Texts.Select(t => flight.Window.Valid[t])];
        try
        {
            switch (failure!.Failure)
            {
                case DeviceFailure.Lost:
                    turns.Warn($"{Name(model)} was lost: {failure.Message} It is opened again, the weights are loaded again, and the batch is scored once more.");
                    model.Reload(cancellation);
                    return Score(flight.Batch, model);
                case DeviceFailure.OutOfMemory:
                    turns.Warn($"{Name(model)} has not enough memory for {Sizes(flight.Batch)}: {failure.Message} The batch is scored once more, in smaller pieces.");
                    return ScorePieces(texts, flight.Batch.Rows / 2, model);
                default:
                    throw failure;
            }
        }
        catch (DeviceException e)
        {
            string again = e == failure ? "" : ", also when it was tried once more";
            throw new DeviceException($"{Name(model)} failed at {Sizes(flight.Batch)}{again}: {e.Message}", e, e.Failure);
        }
    }

    private Reward[] Score(MicroBatch batch, PlacedModel model)
    {
        cancellation.ThrowIfCancellationRequested();
        return model.Engine(cancellation).Score(batch);
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
                some = Score(piece, model);
            }
            catch (DeviceException e) when (e.Failure == DeviceFailure.OutOfMemory && piece.Texts.Length > 1)
            {
                some = ScorePieces([.. piece.Texts.Select(t => texts[t])], maxTokens / 2, model);
            }

            for (int i = 0; i < some.Length; i++) rewards[piece.Texts[i]] = some[i];
        }

        return rewards;
    }

    private static string Name(PlacedModel model) => $"{model.Info.Id} ({model.Info.Name})";

    private static string Sizes(MicroBatch batch) =>
        $"a batch of {batch.Rows} tokens ({batch.Texts.Length} {(batch.Texts.Length == 1 ? "text" : "texts")}, the longest of {batch.TokenCounts.Max()} tokens)";
}
