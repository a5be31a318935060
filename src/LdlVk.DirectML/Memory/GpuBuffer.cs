using LdlVk.DirectML.Interop;

namespace LdlVk.DirectML.Memory;

/// <summary>A buffer in the device's memory.</summary>
/// <param name="resource">The buffer, owned.</param>
/// <param name="bytes">Its size.</param>
internal sealed class GpuBuffer(D3D12Resource resource, ulong bytes) : IDisposable
{
    public D3D12Resource Resource => resource;

    public ulong Bytes => bytes;

    /// <summary>The state it has in the list that is being recorded; see <see cref="ListNumber"/>.</summary>
    public ResourceStates State { get; set; }

    /// <summary>The list in which <see cref="State"/> was set. Buffers fall back to the common state after each.</summary>
    public ulong ListNumber { get; set; }

    /// <summary>The fence's value at which the queue that computes has passed its last use.</summary>
    public ulong BusyUntil { get; set; }

    /// <summary>The same for the queue that copies; 0 if it never used the buffer.</summary>
    public ulong CopiedUntil { get; set; }

    /// <summary>All of it.</summary>
    public Region All => new(this, 0, bytes);

    public void Dispose() => resource.Dispose();
}

/// <summary>Some bytes of a buffer.</summary>
internal readonly record struct Region(GpuBuffer Buffer, ulong Offset, ulong Bytes)
{
    public bool Overlaps(in Region other) => Buffer == other.Buffer && Offset < other.Offset + other.Bytes && other.Offset < Offset + Bytes;

    /// <summary>The rest from an offset on.</summary>
    public Region From(ulong offset) => new(Buffer, Offset + offset, Bytes - offset);
}
