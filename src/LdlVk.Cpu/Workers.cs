using System.Runtime.ExceptionServices;
using LdlVk.Cpu.Memory;

namespace LdlVk.Cpu;

/// <summary>One piece of an op's work, done by one thread with that thread's own scratch memory.</summary>
internal delegate void WorkItem(int item, Scratch scratch);

/// <summary>
/// Spreads the items of an op over the cores. The assignment of items to threads varies, but the results do not: every
/// output element is computed within one item, in an order that no other item can change.
/// </summary>
internal sealed class Workers : IDisposable
{
    // Waking the pool costs about ten microseconds, the time of some 10^5 multiply-adds: less work than that stays on the caller.
    private const long AloneBelow = 100_000;

    private readonly Scratch[] _scratch;

    /// <summary>Workers of a device.</summary>
    /// <param name="memory">Where their scratch memory comes from.</param>
    /// <param name="threads">Their number.</param>
    /// <param name="vectors">The instructions that ops take.</param>
    public Workers(HostMemory memory, int threads, Vectors vectors)
    {
        Vectors = vectors;
        _scratch = new Scratch[threads];
        for (int i = 0; i < _scratch.Length; i++) _scratch[i] = new Scratch(memory);
    }

    public int Count => _scratch.Length;

    public Vectors Vectors { get; }

    /// <summary>Runs items 0 … count − 1 and returns when all are done.</summary>
    /// <param name="count">Number of items.</param>
    /// <param name="work">Total work of the op, in multiply-adds or operations of equal duration.</param>
    /// <param name="body">Processes one item.</param>
    public void Run(int count, long work, WorkItem body)
    {
        int threads = work < AloneBelow ? 1 : Math.Min(count, Count);
        if (threads <= 1)
        {
            for (int item = 0; item < count; item++) body(item, _scratch[0]);
            return;
        }

        int next = -1;
        Unwrapped(() => Parallel.For(0, threads, worker =>
        {
            for (int item; (item = Interlocked.Increment(ref next)) < count;) body(item, _scratch[worker]);
        }));
    }

    /// <summary>Rethrows the first exception itself, not wrapped in an <see cref="AggregateException"/>.</summary>
    public static void Unwrapped(Action parallel)
    {
        try
        {
            parallel();
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.Flatten().InnerExceptions[0]);
        }
    }

    public void Dispose()
    {
        foreach (Scratch s in _scratch) s.Dispose();
    }
}

/// <summary>Scratch memory of one worker, reused for all items and ops. It grows on demand and is freed with the device.</summary>
internal sealed unsafe class Scratch(HostMemory memory) : IDisposable
{
    private NativeBuffer? _buffer;

    /// <summary>Returns at least <paramref name="count"/> floats of unspecified content; all calls share the same memory.</summary>
    public float* Floats(long count)
    {
        if (_buffer is null || _buffer.Bytes < count * sizeof(float))
        {
            Dispose();
            _buffer = memory.Allocate(count * sizeof(float), "scratch memory of an op", counted: false);
        }
        return (float*)_buffer.Pointer;
    }

    public void Dispose()
    {
        _buffer?.Dispose();
        _buffer = null;
    }
}
