using System.Buffers;

namespace LdlVk.Server.Http;

/// <summary>
/// Bytes of a body or of an answer in pieces of at most 64 KiB, where one array that grows would be copied and take twice its size. The
/// pieces count against a budget until they are returned. Not thread-safe.
/// </summary>
/// <param name="budget">The memory budget.</param>
internal sealed class PooledBuffer(ByteBudget budget) : IBufferWriter<byte>, IDisposable
{
    private const int MinPiece = 1 << 12, MaxPiece = 1 << 16;

    private readonly List<(byte[] Array, int Count)> _pieces = [];
    private long _taken;

    /// <summary>Number of bytes written.</summary>
    public int Length { get; private set; }

    /// <inheritdoc/>
    /// <exception cref="RequestException">The budget is used up.</exception>
    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        if (_pieces.Count == 0 || _pieces[^1].Array.Length - _pieces[^1].Count < Math.Max(1, sizeHint))
        {
            int size = Math.Max(sizeHint, Math.Clamp(Length, MinPiece, MaxPiece));
            byte[] piece = ArrayPool<byte>.Shared.Rent(size);
            try
            {
                budget.Take(piece.Length, _taken);
            }
            catch
            {
                ArrayPool<byte>.Shared.Return(piece);
                throw;
            }

            _taken += piece.Length;
            _pieces.Add((piece, 0));
        }

        return _pieces[^1].Array.AsMemory(_pieces[^1].Count);
    }

    /// <inheritdoc/>
    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    /// <inheritdoc/>
    public void Advance(int count)
    {
        _pieces[^1] = (_pieces[^1].Array, _pieces[^1].Count + count);
        Length += count;
    }

    /// <summary>Copies all bytes.</summary>
    public void CopyTo(Span<byte> destination)
    {
        foreach ((byte[] piece, int count) in _pieces)
        {
            piece.AsSpan(0, count).CopyTo(destination);
            destination = destination[count..];
        }
    }

    /// <summary>Writes all bytes to a stream.</summary>
    public async Task CopyToAsync(Stream stream, CancellationToken cancellationToken)
    {
        foreach ((byte[] piece, int count) in _pieces)
            await stream.WriteAsync(piece.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Returns the pieces.</summary>
    public void Dispose()
    {
        foreach ((byte[] piece, _) in _pieces) ArrayPool<byte>.Shared.Return(piece);
        _pieces.Clear();
        budget.Return(_taken);
        _taken = 0;
    }
}
