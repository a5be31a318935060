namespace LdlVk.Runtime.Caching;

/// <summary>Keys and values of consecutive tokens of a text, which every stage keeps for each of its layers.</summary>
/// <param name="rows">How many tokens.</param>
public sealed class CachedBlock(int rows)
{
    private volatile CachePlace _place;

    /// <summary>How many tokens it has.</summary>
    public int Rows => rows;

    /// <summary>Where the cache has decided that it is; the stages follow at the next wave.</summary>
    public CachePlace Place
    {
        get => _place;
        internal set => _place = value;
    }

    /// <summary>The nodes of the <see cref="PromptCache"/> that use it; without any it is dropped.</summary>
    internal List<PromptNode> Nodes { get; } = [];
}

/// <summary>Consecutive rows of a block.</summary>
/// <param name="Block">The block.</param>
/// <param name="First">The first of its rows.</param>
/// <param name="Count">Number of rows.</param>
public readonly record struct CachedRows(CachedBlock Block, int First, int Count);

/// <summary>A block that is to be filled with tokens of a text.</summary>
/// <param name="Block">The block.</param>
/// <param name="Skipped">How many of the tokens that were offered are stored elsewhere; the block begins behind them.</param>
public readonly record struct KeptBlock(CachedBlock Block, int Skipped);

/// <summary>The beginning of a text that the cache has.</summary>
/// <param name="Length">Its tokens; 0 for none.</param>
/// <param name="Rows">Where they are, in order.</param>
public sealed record CacheMatch(int Length, IReadOnlyList<CachedRows> Rows)
{
    /// <summary>No beginning.</summary>
    public static CacheMatch None { get; } = new(0, []);
}
