namespace LdlVk.Runtime.Caching;

/// <summary>Where the keys and values of a block are.</summary>
public enum CachePlace
{
    /// <summary>On the devices, where waves take them.</summary>
    Device,
    /// <summary>In host memory, from which they come back to the devices.</summary>
    Host,
    /// <summary>Nowhere: they were dropped.</summary>
    Nowhere,
}

/// <summary>A decision of the cache that the stages follow before a wave.</summary>
/// <param name="Cache">The cache.</param>
/// <param name="Block">The block.</param>
/// <param name="To">Where its keys and values go.</param>
public sealed record CacheMove(PromptCache Cache, CachedBlock Block, CachePlace To);

/// <summary>Tokens that a prompt cache has room for.</summary>
/// <param name="Tokens">On the devices; 0 for no cache.</param>
/// <param name="HostTokens">In host memory, for what leaves the devices; 0 for none.</param>
internal readonly record struct CacheRoom(int Tokens, int HostTokens);

/// <summary>A memory of the cache.</summary>
/// <param name="capacity">Tokens that there is room for.</param>
internal sealed class CacheTier(long capacity)
{
    /// <summary>Tokens that there is room for.</summary>
    public long Capacity { get; set; } = capacity;

    /// <summary>Tokens of the blocks that are here.</summary>
    public long Tokens { get; set; }

    /// <summary>Tokens that had to leave for others.</summary>
    public long Evicted { get; set; }

    /// <summary>
    /// The nodes that have their place here, in the order of use, each behind those below it. A block is on the devices while one of its
    /// nodes has its place there.
    /// </summary>
    public LinkedList<PromptNode> Nodes { get; } = new();

    /// <summary>Whether a node has its place here.</summary>
    public bool Has(PromptNode node) => node.Place.List == Nodes;

    /// <summary>Gives a node its place here, as the one used last.</summary>
    public void Take(PromptNode node)
    {
        node.Place.List!.Remove(node.Place);
        Nodes.AddLast(node.Place);
    }
}
