namespace LdlVk.Scoring;

/// <summary>Lets one caller at a time use the model on its devices. Thread-safe.</summary>
internal sealed class ModelLock(PlacedModel model) : IDisposable
{
    /// <summary>Never disposed: it has no handle unless one asks for it, and callers may still wait for it.</summary>
    private readonly SemaphoreSlim _semaphore = new(1, 1);

    private volatile bool _disposed;

    /// <summary>Waits until no other caller uses the model.</summary>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public Holder Acquire(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed, typeof(RewardModel));
        cancellationToken.ThrowIfCancellationRequested();
        _semaphore.Wait(cancellationToken);
        if (!_disposed) return new Holder(this);
        _semaphore.Release();
        throw new ObjectDisposedException(nameof(RewardModel));
    }

    /// <summary>Frees the model once no caller uses it.</summary>
    public void Dispose()
    {
        _semaphore.Wait();
        using var holder = new Holder(this);
        _disposed = true;
        model.Dispose();
    }

    /// <summary>Its owner may use the model until it disposes this.</summary>
    public readonly struct Holder(ModelLock owner) : IDisposable
    {
        public PlacedModel Model => owner.Model;

        public void Dispose() => owner._semaphore.Release();
    }

    private PlacedModel Model => model;
}
