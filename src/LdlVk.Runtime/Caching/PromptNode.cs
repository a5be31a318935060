namespace LdlVk.Runtime.Caching;

/// <summary>
/// A run of tokens in the tree of texts. The tokens on the way from the root are the beginning of all texts below. A node is stored, with
/// rows of a block, or was only seen; only a child of the root or of a stored node can be stored.
/// </summary>
internal sealed class PromptNode
{
    /// <summary>Bytes of a node without its tokens, with its entry in the node above.</summary>
    public const int OwnBytes = 512;

    /// <summary>Makes a root.</summary>
    public PromptNode() => Place = new LinkedListNode<PromptNode>(this);

    public PromptNode(PromptNode parent, ReadOnlyMemory<int> ids) : this() => (Parent, Ids) = (parent, ids);

    public PromptNode? Parent { get; set; }

    /// <summary>The node's own tokens.</summary>
    public ReadOnlyMemory<int> Ids { get; set; }

    /// <summary>The nodes that go on from here, by their first token.</summary>
    public Dictionary<int, PromptNode> Children { get; private set; } = [];

    /// <summary>Where the keys and values are; null for tokens that were only seen.</summary>
    public CachedBlock? Block { get; set; }

    /// <summary>Row of the first token in <see cref="Block"/>.</summary>
    public int FirstRow { get; set; }

    /// <summary>Whether a text took it, or was met with it a second time; what was not is kept for a hope.</summary>
    public bool IsUsed { get; set; }

    /// <summary>The wave that used it last, by number.</summary>
    public long LastUse { get; set; }

    /// <summary>Its place in the order of use of the stored nodes or of those seen.</summary>
    public LinkedListNode<PromptNode> Place { get; }

    public int Length => Ids.Length;

    /// <summary>Bytes in memory.</summary>
    public long Bytes => OwnBytes + (sizeof(int) * (long)Length);

    /// <summary>
    /// Divides the node: it keeps its first <paramref name="length"/> tokens, and the returned child has the others and the children.
    /// </summary>
    public PromptNode Split(int length)
    {
        // Each has its own memory: the first would keep all of it when the rest is long forgotten.
        var rest = new PromptNode(this, Ids[length..].ToArray())
        {
            Block = Block, FirstRow = FirstRow + length, IsUsed = IsUsed, LastUse = LastUse,
        };
        (rest.Children, Children) = (Children, new Dictionary<int, PromptNode> { [rest.Ids.Span[0]] = rest });
        foreach (PromptNode child in rest.Children.Values) child.Parent = rest;
        Block?.Nodes.Add(rest);
        Ids = Ids[..length].ToArray();
        return rest;
    }
}
