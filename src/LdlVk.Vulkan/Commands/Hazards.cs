namespace LdlVk.Vulkan.Commands;

/// <summary>Bytes of device memory, by device address.</summary>
/// <param name="Address">The first.</param>
/// <param name="Bytes">How many.</param>
/// <param name="Shared">Who uses them, where not one stream alone does.</param>
internal readonly record struct MemoryRange(ulong Address, ulong Bytes, SharedUse? Shared = null)
{
    public bool Overlaps(MemoryRange other) =>
        Bytes > 0 && other.Bytes > 0 && Address < other.Address + other.Bytes && other.Address < Address + Bytes;
}

/// <summary>
/// Memory that one stream computes with while another, or the host, fills it: the last use that each stream made of it, for the other and
/// the host to wait for.
/// </summary>
/// <param name="computes">The stream that computes.</param>
/// <param name="copies">The stream that copies; null if the host fills it, or the first stream.</param>
/// <param name="computed">The value of the first one's timeline before which the memory may have been anyone's.</param>
internal sealed class SharedUse(CommandStream computes, CommandStream? copies, ulong computed)
{
    /// <summary>The value of the first one's timeline with which its last use of the memory is done.</summary>
    public ulong Computed { get; private set; } = computed;

    /// <summary>The value of the copies' timeline with which the last of them is done; 0 before the first.</summary>
    public ulong Copied { get; private set; }

    /// <summary>What a stream must wait for before it uses the memory; 0 for nothing.</summary>
    public (CommandStream? Other, ulong Value) Before(CommandStream stream) => stream == computes ? (copies, Copied) : (computes, Computed);

    /// <summary>Takes note of a use.</summary>
    public void Note(CommandStream stream, ulong value)
    {
        if (stream == computes) Computed = value;
        else Copied = value;
    }
}

/// <summary>
/// Decides where barriers stand: a command needs one before it if it reads or writes what an earlier command wrote, or writes what an
/// earlier one read, with no barrier since. Commands that need none of each other (the projections of Q, K and V; gate and up) then
/// share the GPU, which matters where a product has too few rows to fill it.
/// </summary>
internal sealed class Hazards
{
    /// <summary>Ranges beyond which a barrier is set unasked, so that looking stays cheap. A layer has 10 at a time.</summary>
    private const int MostRanges = 128;

    private readonly List<MemoryRange> _read = [], _written = [];

    /// <summary>Takes note of a command, and says whether a barrier must stand before it.</summary>
    public bool NeedsBarrier(ReadOnlySpan<MemoryRange> reads, ReadOnlySpan<MemoryRange> writes)
    {
        bool barrier = _read.Count + _written.Count > MostRanges || Touches(_written, reads) || Touches(_written, writes) || Touches(_read, writes);
        if (barrier)
        {
            _read.Clear();
            _written.Clear();
        }

        _read.AddRange(reads);
        _written.AddRange(writes);
        return barrier;
    }

    private static bool Touches(List<MemoryRange> earlier, ReadOnlySpan<MemoryRange> ranges)
    {
        foreach (MemoryRange range in ranges)
            foreach (MemoryRange before in earlier)
                if (range.Overlaps(before)) return true;
        return false;
    }
}
