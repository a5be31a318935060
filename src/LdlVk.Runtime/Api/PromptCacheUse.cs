namespace LdlVk;

/// <summary>How full a prompt cache is, and what it did so far. All figures are tokens, but for <paramref name="Misses"/>.</summary>
/// <param name="Capacity">Tokens whose keys and values there is room for on the devices.</param>
/// <param name="Stored">Tokens whose keys and values are there.</param>
/// <param name="Taken">Tokens that were not computed because it had them; a text's count once for each use.</param>
/// <param name="Kept">Tokens that were stored.</param>
/// <param name="Evicted">Tokens that left the devices to make room, to be dropped or for host memory.</param>
/// <param name="Misses">Waves that were given up or computed again without it because a block was not there.</param>
public readonly record struct PromptCacheUse(long Capacity, long Stored, long Taken, long Kept, long Evicted, long Misses)
{
    /// <summary>Bytes of device memory of the stored tokens, on all devices together.</summary>
    public long Bytes { get; init; }

    /// <summary>Tokens whose keys and values there is room for in host memory.</summary>
    public long HostCapacity { get; init; }

    /// <summary>Tokens whose keys and values are in host memory.</summary>
    public long HostStored { get; init; }

    /// <summary>Tokens that came back from host memory to the devices, instead of being computed again.</summary>
    public long HostTaken { get; init; }

    /// <summary>Tokens that left host memory to make room.</summary>
    public long HostEvicted { get; init; }

    /// <summary>Bytes of host memory of the tokens that are there.</summary>
    public long HostBytes { get; init; }
}
