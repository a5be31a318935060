namespace LdlVk.Runtime.Caching;

/// <summary>
/// What a micro-batch takes from the <see cref="PromptCache"/> and leaves there. In each layer the prefixes that are not computed here, or
/// not wholly, are put together behind the batch's own keys and values: first the rows that come from the cache, then copies of the rows
/// that the batch computes itself.
/// </summary>
/// <param name="Cache">The cache whose blocks these are.</param>
/// <param name="Rows">Rows that are put together.</param>
/// <param name="Taken">Rows from the cache, and the row of keys and values to which they go.</param>
/// <param name="Copied">
/// Rows of keys and values that are copied to others: the computed rest of a prefix behind its cached beginning.
/// </param>
/// <param name="Kept">Blocks that are filled, each with the rows of keys and values from a first one on.</param>
public sealed record CacheTraffic(
    PromptCache Cache, int Rows, IReadOnlyList<(CachedRows From, int Row)> Taken, IReadOnlyList<(int From, int Count, int Row)> Copied,
    IReadOnlyList<(CachedBlock Block, int From)> Kept);
