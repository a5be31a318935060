using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using System.Security.Cryptography;

namespace LdlVk.Runtime.Conversion;

/// <summary>
/// Writes a file in a thread of its own, with its SHA-256, while the next bytes are made; and sees that the disk does not idle until the
/// end, when the system would begin to write what it had gathered. Holds a fixed number of chunks.
/// </summary>
internal sealed class WriteQueue : IDisposable
{
    /// <summary>Chunks that are being made, waiting or being written.</summary>
    private const int ChunkCount = 8;

    /// <summary>Bytes after which the disk is asked to have them all.</summary>
    private const long SyncBytes = 64 << 20;

    private readonly OutputFile _file;
    private readonly Action<long> _progress;
    private readonly CancellationToken _cancellation;
    private readonly BlockingCollection<(byte[] Bytes, int Count)> _full = new(ChunkCount);
    private readonly BlockingCollection<byte[]> _empty;
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly Thread _writer;
    private Task _sync = Task.CompletedTask;
    private long _unsynced;
    private ExceptionDispatchInfo? _failure;

    /// <param name="file">Where to; the caller completes and disposes it.</param>
    /// <param name="chunks">From <see cref="Chunks"/>; one queue after another may have them.</param>
    /// <param name="progress">Told, by the writing thread, how many bytes are written.</param>
    /// <param name="cancellation">Ends <see cref="Rent"/>.</param>
    public WriteQueue(OutputFile file, BlockingCollection<byte[]> chunks, Action<long> progress, CancellationToken cancellation)
    {
        (_file, _empty, _progress, _cancellation) = (file, chunks, progress, cancellation);
        _writer = new Thread(WriteAll) { IsBackground = true, Name = "convert: write" };
        _writer.Start();
    }

    /// <summary>Bytes written so far; the file's once it is finished.</summary>
    public long Written { get; private set; }

    /// <summary>A chunk to fill, as soon as one is free; it goes to <see cref="Add"/>.</summary>
    /// <exception cref="IOException">Writing failed.</exception>
    public byte[] Rent()
    {
        byte[] chunk = _empty.Take(_cancellation);
        _failure?.Throw();
        return chunk;
    }

    /// <summary>The memory of a queue.</summary>
    /// <param name="chunkBytes">Bytes of a chunk.</param>
    public static BlockingCollection<byte[]> Chunks(int chunkBytes)
    {
        BlockingCollection<byte[]> chunks = new(ChunkCount);
        for (int i = 0; i < ChunkCount; i++) chunks.Add(GC.AllocateUninitializedArray<byte>(chunkBytes));
        return chunks;
    }

    /// <summary>Appends the beginning of a chunk to the file.</summary>
    public void Add(byte[] chunk, int count) => _full.Add((chunk, count));

    /// <summary>Appends bytes of the caller's.</summary>
    public void Write(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            byte[] chunk = Rent();
            int count = Math.Min(bytes.Length, chunk.Length);
            bytes[..count].CopyTo(chunk);
            Add(chunk, count);
            bytes = bytes[count..];
        }
    }

    /// <summary>Waits until all is written.</summary>
    /// <returns>The SHA-256 of all bytes, in hexadecimal.</returns>
    /// <exception cref="IOException">Writing failed.</exception>
    public string Finish()
    {
        Stop();
        _failure?.Throw();
        return Convert.ToHexStringLower(_hash.GetHashAndReset());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Stop();
        _full.Dispose();
        _hash.Dispose();
    }

    private void Stop()
    {
        _full.CompleteAdding();
        _writer.Join();
    }

    private void WriteAll()
    {
        foreach ((byte[] bytes, int count) in _full.GetConsumingEnumerable())
        {
            // After a failure chunks still come back, so that whoever waits for one learns of it.
            if (_failure is null) Try(() => WriteChunk(bytes, count));
            _empty.Add(bytes);
        }
        Try(_sync.Wait);
    }

    private void WriteChunk(byte[] bytes, int count)
    {
        _hash.AppendData(bytes, 0, count);
        _file.Write(bytes.AsSpan(0, count));
        Written += count;
        _progress(Written);
        _unsynced += count;
        if (_unsynced < SyncBytes || !_sync.IsCompleted) return;
        _sync.Wait();
        _sync = Task.Run(_file.Sync);
        _unsynced = 0;
    }

    private void Try(Action action)
    {
        try
        {
            action();
        }
        catch (AggregateException e)
        {
            _failure ??= ExceptionDispatchInfo.Capture(e.Flatten().InnerExceptions[0]);
        }
        catch (Exception e)
        {
            _failure ??= ExceptionDispatchInfo.Capture(e);
        }
    }
}
