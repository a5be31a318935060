namespace LdlVk.Vulkan.Commands;

/// <summary>
/// Decides where barriers are needed: before a command that reads or writes what an earlier command wrote, or writes what an earlier one
/// read, with no barrier in between. Independent commands (the projections of Q, K and V; gate and up) then run side by side, which
/// matters when a product has too few rows to fill the GPU.
/// </summary>
internal sealed class Hazards
{
    /// <summary>With more ranges than these a barrier is set in any case, to keep the search cheap. A layer has 10 at a time.</summary>
    private const int MaxRanges = 128;

    private readonly List<MemoryRange> _read = [], _written = [];

    /// <summary>Notes the ranges of the next command; returns whether it needs a barrier before it.</summary>
    public bool NeedsBarrier(ReadOnlySpan<MemoryRange> reads, ReadOnlySpan<MemoryRange> writes)
    {
        bool barrier = _read.Count + _written.Count > MaxRanges
            || Touches(_written, reads) || Touches(_written, writes) || Touches(_read, writes);
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
