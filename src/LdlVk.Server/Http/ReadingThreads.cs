using System.Collections.Concurrent;

namespace LdlVk.Server.Http;

/// <summary>
/// The threads that read bodies: parsing and tokenization are bound by the processor, so more at a time would only take more memory, and
/// on the threads of the pool they would make every other request wait. Large bodies have threads of their own, because what a large body
/// becomes is many times its size. Thread-safe.
/// </summary>
internal sealed class ReadingThreads : IDisposable
{
    /// <summary>Bytes from which a body is large.</summary>
    private const int Large = 1 << 20;

    /// <summary>Bytes that a thread allocates before the collector is asked to look.</summary>
    private const long MaxGarbage = 64 << 20;

    private readonly BlockingCollection<Action> _small = [], _large = [];

    public ReadingThreads()
    {
        Start(_small, Math.Clamp(Environment.ProcessorCount, 1, 16), "reading");
        Start(_large, Math.Clamp(Environment.ProcessorCount / 4, 1, 4), "reading large");
    }

    /// <summary>Runs a function on one of the threads.</summary>
    /// <param name="bytes">Size of the body.</param>
    /// <param name="read">The function.</param>
    /// <param name="cancellationToken">Cancels it before it begins.</param>
    public Task<T> RunAsync<T>(int bytes, Func<T> read, CancellationToken cancellationToken)
    {
        TaskCompletionSource<T> done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        ExecutionContext? context = ExecutionContext.Capture();
        try
        {
            (bytes < Large ? _small : _large).Add(Run, cancellationToken);
        }
        catch (InvalidOperationException)
        {
            throw new ObjectDisposedException(nameof(ReadingThreads));
        }

        return done.Task;

        void Run()
        {
            if (cancellationToken.IsCancellationRequested)
            {
                done.TrySetCanceled(cancellationToken);
                return;
            }

            if (context is null) Read(null);
            else ExecutionContext.Run(context, Read, null);
        }

        void Read(object? state)
        {
            try
            {
                done.TrySetResult(read());
            }
            catch (Exception e)
            {
                done.TrySetException(e);
            }
        }
    }

    /// <summary>Ends the threads after the bodies that wait.</summary>
    public void Dispose()
    {
        _small.CompleteAdding();
        _large.CompleteAdding();
    }

    private static void Start(BlockingCollection<Action> work, int threads, string name)
    {
        for (int i = 0; i < threads; i++)
        {
            new Thread(() =>
            {
                long collected = 0;
                foreach (Action read in work.GetConsumingEnumerable())
                {
                    read();
                    // Strings of megabytes are garbage now, which the collector would let pile up to some hundred megabytes.
                    long allocated = GC.GetAllocatedBytesForCurrentThread();
                    if (allocated - collected < MaxGarbage) continue;
                    collected = allocated;
                    GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: false);
                }
            })
            { IsBackground = true, Name = $"{name} {i}" }.Start();
        }
    }
}
