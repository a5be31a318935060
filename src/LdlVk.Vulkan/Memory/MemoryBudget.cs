namespace LdlVk.Vulkan.Memory;

/// <summary>Counts the device memory taken from the driver, and limits it.</summary>
/// <param name="limit">Bytes that may be taken; null for no limit.</param>
internal sealed class MemoryBudget(long? limit)
{
    /// <summary>The limit; null for none.</summary>
    public long? Limit => limit;

    /// <summary>Bytes taken now.</summary>
    public long Held { get; private set; }

    /// <summary>The largest number of bytes taken at a time.</summary>
    public long Peak { get; private set; }

    /// <summary>Bytes that may still be taken.</summary>
    public ulong Left => limit is { } most ? (ulong)Math.Max(0, most - Held) : long.MaxValue;

    /// <summary>Counts bytes that are taken.</summary>
    public void Take(ulong bytes)
    {
        Held += (long)bytes;
        Peak = Math.Max(Peak, Held);
    }

    /// <summary>Counts bytes that are given back.</summary>
    public void Give(ulong bytes) => Held -= (long)bytes;
}
