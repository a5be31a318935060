using System.Buffers;

namespace LdlVk.Runtime.Checkpoints;

/// <summary>Reads a range of a file from its beginning to its end.</summary>
internal sealed class FileRangeStream(FileBytes file, long first, long length) : Stream
{
    private long _at;

    /// <inheritdoc/>
    public override bool CanRead => true;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override bool CanWrite => false;

    /// <inheritdoc/>
    public override long Length => length;

    /// <inheritdoc/>
    public override long Position { get => _at; set => throw new NotSupportedException(); }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override int Read(Span<byte> buffer)
    {
        int count = (int)Math.Min(buffer.Length, length - _at);
        file.Read(first + _at, buffer[..count]);
        _at += count;
        return count;
    }

    /// <inheritdoc/>
    public override void Flush()
    {
        // Nothing is written.
    }

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}

/// <summary>A rented buffer, given back when it is disposed.</summary>
internal readonly ref struct Scratch : IDisposable
{
    private readonly byte[] _rented;

    public Scratch(int bytes)
    {
        _rented = ArrayPool<byte>.Shared.Rent(bytes);
        Bytes = _rented.AsSpan(0, bytes);
    }

    public Span<byte> Bytes { get; }

    public void Dispose() => ArrayPool<byte>.Shared.Return(_rented);
}
