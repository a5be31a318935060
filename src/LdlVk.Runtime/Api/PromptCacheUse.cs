namespace LdlVk;

/// <summary>How full a prompt cache is, and what it did so far. All figures are tokens, but for <paramref name="Misses"/>.</summary>
/// <param name="Capacity">Tokens whose keys and values there is room for.</param>
/// <param name="Stored">Tokens whose keys and values it has.</param>
/// <param name="Taken">Tokens that were not computed because it had them; a text's count once for each use.</param>
/// <param name="Kept">Tokens that were stored.</param>
/// <param name="Evicted">Tokens that were dropped to make room.</param>
/// <param name="Misses">Waves that were given up or computed again without it because a block was not there.</param>
public readonly record struct PromptCacheUse(long Capacity, long Stored, long Taken, long Kept, long Evicted, long Misses)
{
    /// <summary>Bytes of device memory of the stored tokens, on all devices together.</summary>
    public long Bytes { get; init; }
}
