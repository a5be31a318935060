using LdlVk.Runtime.Caching;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Batching;

/// <summary>
/// The packed rows of one forward pass: every token of its texts once, without padding, a shared prefix once for all texts that begin
/// with it.
/// </summary>
public sealed record MicroBatch
{
    /// <summary>
    /// Rows of keys and values of a prefix that earlier batches of the <see cref="Wave"/> have computed. They precede this batch's own:
    /// row r of the batch has its keys and values at row KeptRows + r.
    /// </summary>
    public int KeptRows { get; init; }

    /// <summary>What the batch takes from a prompt cache and leaves there; null for nothing.</summary>
    public CacheTraffic? Cache { get; init; }

    /// <summary>Rows of keys and values: those kept, then the batch's own, then those of prefixes from the cache.</summary>
    public int KeyRows => KeptRows + Rows + (Cache?.Rows ?? 0);

    /// <summary>Token id of each row.</summary>
    public required int[] TokenIds { get; init; }

    /// <summary>Position of each row in its text, from 0.</summary>
    public required int[] Positions { get; init; }

    /// <summary>Attention of all rows: one segment per prefix and per text's own tokens.</summary>
    public required AttentionSegment[] Segments { get; init; }

    /// <summary>Number of each text in the caller's list, in the order of the results.</summary>
    public required int[] Texts { get; init; }

    /// <summary>Tokens of each text, shared ones counted for each.</summary>
    public required int[] TokenCounts { get; init; }

    /// <summary>How many of each text's tokens came from the prompt cache.</summary>
    public int[] CachedCounts { get; init; } = [];

    /// <summary>The rows that the head reads for each text, in the head's order.</summary>
    public required ReadRow[][] Reads { get; init; }

    /// <summary>The rows that the head reads, each once; a row of a shared prefix serves several texts.</summary>
    public required int[] ReadRows { get; init; }

    /// <summary>Position of each of the <see cref="ReadRows"/> in its text.</summary>
    public required int[] ReadPositions { get; init; }

    /// <summary>Attention of the <see cref="ReadRows"/> alone, a segment each: what the last layer needs.</summary>
    public required AttentionSegment[] ReadSegments { get; init; }

    /// <summary>Rows of the pass.</summary>
    public int Rows => TokenIds.Length;
}
