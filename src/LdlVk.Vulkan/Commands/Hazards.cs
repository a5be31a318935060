namespace LdlVk.Vulkan.Commands;

/// <summary>
/// Decides where barriers stand: a command needs one before it if it reads or writes what an earlier command wrote, or writes what an
/// earlier one read, with no barrier since. Commands that need none of each other (the projections of Q, K and V; gate and up) then
/// share the GPU, which matters where a product has too few rows to fill it.
/// </summary>
internal sealed class Hazards
{
    /// <summary>Ranges beyond which a barrier is set unasked, so that looking stays cheap. A layer has 10 at a time.</summary>
    private const int MaxRanges = 128;

    private readonly List<MemoryRange> _read = [], _written = [];

    /// <summary>Takes note of a command, and says whether a barrier must stand before it.</summary>
    public bool NeedsBarrier(ReadOnlySpan<MemoryRange> reads, ReadOnlySpan<MemoryRange> writes)
    {
        bool barrier = _read.Count + _written.Count > MaxRanges || Touches(_written, reads) || Touches(_written, writes) || Touches(_read, writes);
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
