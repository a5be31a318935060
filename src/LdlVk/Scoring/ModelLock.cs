namespace LdlVk.Scoring;

/// <summary>Lets one caller at a time use the model on its device. Thread-safe.</summary>
internal sealed class ScoringTurns(PlacedModel model, Action<string> warn) : IDisposable
{
    /// <summary>Never disposed: it has no handle unless one asks for it, and callers may still wait for it.</summary>
    private readonly SemaphoreSlim _turn = new(1, 1);

    private volatile bool _disposed;

    /// <summary>Tells the user what happened.</summary>
    public void Warn(string message) => warn(message);

    /// <summary>Waits until it is the caller's turn.</summary>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public Turn Take(CancellationToken cancellation)
    {
        ObjectDisposedException.ThrowIf(_disposed, typeof(RewardModel));
        cancellation.ThrowIfCancellationRequested();
        _turn.Wait(cancellation);
        if (!_disposed) return new Turn(this);
        _turn.Release();
        throw new ObjectDisposedException(nameof(RewardModel));
    }

    /// <summary>Frees the model once it is nobody's turn.</summary>
    public void Dispose()
    {
        _turn.Wait();
        using var turn = new Turn(this);
        _disposed = true;
        model.Dispose();
    }

    /// <summary>Its holder may use the model; disposing it ends the turn.</summary>
    public readonly struct Turn(ScoringTurns turns) : IDisposable
    {
        public PlacedModel Model => turns.Model;

        public void Dispose() => turns._turn.Release();
    }

    private PlacedModel Model => model;
}
