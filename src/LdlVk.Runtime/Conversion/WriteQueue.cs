using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using System.Security.Cryptography;

namespace LdlVk.Runtime.Conversion;

/// <summary>
/// Writes a file and computes its SHA-256 on a separate thread, while the caller produces the next bytes. It flushes regularly, because the
/// system would otherwise leave the disk idle until the end. Uses a fixed number of chunks.
/// </summary>
internal sealed class WriteQueue : IDisposable
{
    /// <summary>Number of chunks: being produced, waiting, or being written.</summary>
    private const int ChunkCount = 8;

    /// <summary>Number of bytes between flushes to disk.</summary>
    private const long SyncBytes = 64 << 20;

    private readonly OutputFile _file;
    private readonly Action<long> _progress;
    private readonly CancellationToken _cancellationToken;
    private readonly BlockingCollection<(byte[] Bytes, int Count)> _full = new(ChunkCount);
    private readonly BlockingCollection<byte[]> _empty;
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly Thread _writer;
    private Task _sync = Task.CompletedTask;
    private long _unsynced;
    private ExceptionDispatchInfo? _failure;

    /// <param name="file">The file to write; the caller completes and disposes it.</param>
    /// <param name="chunks">Chunks from <see cref="Chunks"/>; consecutive queues may share them.</param>
    /// <param name="progress">Called on the writing thread with the number of written bytes.</param>
    /// <param name="cancellationToken">Cancels <see cref="Rent"/>.</param>
    public WriteQueue(OutputFile file, BlockingCollection<byte[]> chunks, Action<long> progress, CancellationToken cancellationToken)
    {
        (_file, _empty, _progress, _cancellationToken) = (file, chunks, progress, cancellationToken);
        _writer = new Thread(WriteAll) { IsBackground = true, Name = "convert: write" };
        _writer.Start();
    }

    /// <summary>Number of bytes written so far; the size of the file after <see cref="Finish"/>.</summary>
    public long Written { get; private set; }

    /// <summary>Waits for a free chunk, which the caller fills and passes to <see cref="Add"/>.</summary>
    /// <exception cref="IOException">Writing failed.</exception>
    public byte[] Rent()
    {
        byte[] chunk = _empty.Take(_cancellationToken);
        _failure?.Throw();
        return chunk;
    }

    /// <summary>Allocates the chunks of a queue.</summary>
    /// <param name="chunkBytes">Size of a chunk in bytes.</param>
    public static BlockingCollection<byte[]> Chunks(int chunkBytes)
    {
        BlockingCollection<byte[]> chunks = new(ChunkCount);
        for (int i = 0; i < ChunkCount; i++) chunks.Add(GC.AllocateUninitializedArray<byte>(chunkBytes));
        return chunks;
    }

    /// <summary>Appends the beginning of a chunk to the file.</summary>
    public void Add(byte[] chunk, int count) => _full.Add((chunk, count));

    /// <summary>Appends a copy of bytes.</summary>
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

    /// <summary>Waits until all bytes are written.</summary>
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
            // Chunks are returned even after a failure, so that a waiting caller sees the error.
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
