using System.Runtime.InteropServices;
using LdlVk.Runtime.Devices;

namespace LdlVk.Vulkan.Memory;

/// <summary>A tensor's values on their way to the host: chunks of whole rows, padding included, complete at a timeline value.</summary>
internal sealed class VulkanReadback(Transfers transfers, IVulkanTensor source) : IReadback
{
    private readonly Queue<(HostBuffer Chunk, int Rows)> _chunks = new();

    public ulong ReadyAt { get; set; }

    public void Add(HostBuffer chunk, int rows) => _chunks.Enqueue((chunk, rows));

    public void Finish(Span<float> destination)
    {
        OpChecks.ReadLength(source.Rows, source.Columns, destination.Length);
        transfers.WaitFor(this);
        int done = 0, columns = source.Columns, stride = source.Stride;
        foreach ((HostBuffer chunk, int rows) in _chunks)
        {
            ReadOnlySpan<float> padded = MemoryMarshal.Cast<byte, float>(chunk.Bytes);
            for (int row = 0; row < rows; row++, done += columns) padded.Slice(row * stride, columns).CopyTo(destination[done..]);
        }
    }

    public void Dispose()
    {
        while (_chunks.TryDequeue(out (HostBuffer Chunk, int Rows) part)) transfers.End(part.Chunk);
    }
}
