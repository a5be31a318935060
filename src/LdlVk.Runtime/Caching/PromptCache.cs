namespace LdlVk.Runtime.Caching;

/// <summary>
/// Knows the beginnings of texts whose keys and values the stages keep, as a radix tree over token ids. A beginning is kept from when it
/// is met a second time, to the token, and the leaves that were not used for longest go first. A prompt is kept from when it is met first,
/// unless prompts seldom come again; it takes the place of what was used only where most of them do.
/// <para>
/// Blocks that must leave the devices go to host memory if something used them, or if prompts come again often enough. They come back when
/// a text begins with them. So the nodes on a way from the root are on the devices first, then in host memory, then only seen.
/// </para>
/// <para>
/// The cache decides; the stages follow in the order of the waves, so that a wave finds what waves before it left. A score has the same
/// bits whatever the cache has. Thread-safe, but the waves must be begun in the order in which their micro-batches were packed.
/// </para>
/// </summary>
/// <param name="capacity">Tokens whose keys and values there is room for on the devices.</param>
/// <param name="hostCapacity">Tokens that there is room for in host memory; 0 for none.</param>
public sealed class PromptCache(int capacity, int hostCapacity = 0)
{
    /// <summary>Fewer tokens are not worth their copies.</summary>
    public const int MinTokens = 16;

    /// <summary>Maximum bytes of what is remembered as seen: ids of some ten thousand texts, or of a hundred thousand short ones.</summary>
    private const long MaxSeenBytes = 64 << 20;

    /// <summary>
    /// Prompts over which it is counted how many come again: so many that the beginning of a round, where all are new, changes little.
    /// </summary>
    private const double CountedPrompts = 128;

    /// <summary>Where a smaller part of the prompts comes again, new ones are not worth their copies.</summary>
    private const double Seldom = 1.0 / 16;

    /// <summary>
    /// Where a smaller part comes again, a prompt that nothing used yet is not worth its way to host memory: the 754 kB of a token of
    /// Gemma-2 27B take a bus of 12 GB/s an eighth of the time that its 54 GFLOP take a card of 100 TFLOP/s.
    /// </summary>
    private const double WorthCopies = 1.0 / 8;

    /// <summary>Where a larger part comes again, a prompt that nothing used yet is worth as much as one that something used.</summary>
    private const double Often = 0.5;

    /// <summary>
    /// Waves whose micro-batches may be packed, or looked up, before the first of them is begun: the one at hand, the micro-batch that did
    /// not fit into it, one behind that, which shows where a chain ends, and the group of texts that did not fit into this. What they take
    /// must stay.
    /// </summary>
    private const int WavesAhead = 4;

    private readonly object _lock = new();
    private readonly PromptNode _root = new();
    private readonly CacheTier _device = new(capacity), _host = new(hostCapacity);
    private readonly LinkedList<PromptNode> _seen = new();
    private List<CacheMove> _moves = [];
    private long _wave = WavesAhead, _seenBytes;
    private long _takenTokens, _keptTokens, _returnedTokens, _misses;
    private double _partSeenAgain = 2 * Seldom;

    /// <summary>How full it is and how it did so far.</summary>
    public PromptCacheUse Use
    {
        get
        {
            lock (_lock)
                return new PromptCacheUse(_device.Capacity, _device.Tokens, _takenTokens, _keptTokens, _device.Evicted, _misses)
                {
                    HostCapacity = _host.Capacity,
                    HostStored = _host.Tokens,
                    HostTaken = _returnedTokens,
                    HostEvicted = _host.Evicted,
                };
        }
    }

    /// <summary>
    /// Notes that a text is computed, and returns how many of its first tokens were met before; that many are worth keeping.
    /// </summary>
    /// <param name="ids">The text.</param>
    /// <param name="prompt">Length of its prompt, to be counted as new or seen again; 0 for one that is not.</param>
    public int Meet(ReadOnlyMemory<int> ids, int prompt = 0)
    {
        lock (_lock)
        {
            (PromptNode node, int length) = Walk(ids.Span, storedOnly: false);
            if (length < ids.Length)
            {
                var leaf = new PromptNode(node, ids[length..].ToArray());
                node.Children.Add(leaf.Ids.Span[0], leaf);
                _seen.AddLast(leaf.Place);
                _seenBytes += leaf.Bytes;
                node = leaf;
            }

            Touch(node);
            ForgetSeen(node);
            if (prompt >= MinTokens) _partSeenAgain += ((length >= prompt ? 1 : 0) - _partSeenAgain) / CountedPrompts;
            return length;
        }
    }

    /// <summary>
    /// Returns where the longest stored beginning of a text is, of at most <paramref name="limit"/> tokens. Blocks of it that are in host
    /// memory come back to the devices, as far as there is room.
    /// </summary>
    public CacheMatch Find(ReadOnlySpan<int> ids, int limit)
    {
        lock (_lock)
        {
            (PromptNode node, int length) = Walk(ids[..limit], storedOnly: true);
            if (length < MinTokens) return CacheMatch.None;
            List<CachedRows> rows = [];
            for (node = BringBack(node); node.Parent is not null; node = node.Parent)
            {
                node.IsUsed = true;
                rows.Add(new CachedRows(node.Block!, node.FirstRow, node.Length));
            }

            rows.Reverse();
            length = rows.Sum(part => part.Count);
            return length < MinTokens ? CacheMatch.None : new CacheMatch(length, rows);
        }
    }

    /// <summary>Counts tokens that a micro-batch takes from the cache.</summary>
    internal void Took(int tokens)
    {
        lock (_lock) _takenTokens += tokens;
    }

    /// <summary>
    /// Makes a block for those of a text's tokens [from, to) that are not stored, all behind the first of them; the text was met up to
    /// there. Null if there is no room, if they are too few, or if tokens before <paramref name="from"/> are not stored.
    /// </summary>
    /// <param name="ids">The text.</param>
    /// <param name="from">The first of the tokens.</param>
    /// <param name="to">The end of the tokens.</param>
    /// <param name="isNew">Whether the tokens are met for the first time. Where few prompts come again they replace none that did.</param>
    /// <param name="atLeast">Fewer tokens are too few.</param>
    public KeptBlock? Keep(ReadOnlyMemory<int> ids, int from, int to, bool isNew = false, int atLeast = MinTokens)
    {
        if (to - from < atLeast) return null;
        lock (_lock)
        {
            if (isNew && _partSeenAgain < Seldom) return null;
            // A beginning that is too short to be taken may be stored: that of the template, with the first prompt that was kept.
            (PromptNode node, int stored) = Walk(ids.Span[..to], storedOnly: true);
            if (stored < from || to - stored < atLeast) return null;
            if (BringBack(node) != node || !MakeRoom(_device, to - stored, isNew)) return null;
            int first = stored;
            var block = new CachedBlock(to - first);
            // Tokens that were seen may have been forgotten since.
            if (Walk(ids.Span[..to], storedOnly: false).Length < to) return null;
            while (stored < to)
            {
                node = node.Children[ids.Span[stored]];
                (node.Block, node.FirstRow, node.IsUsed) = (block, stored - first, !isNew);
                block.Nodes.Add(node);
                _device.Take(node);
                _seenBytes -= node.Bytes;
                stored += node.Length;
            }

            Touch(node);
            _device.Tokens += block.Rows;
            _keptTokens += block.Rows;
            return new KeptBlock(block, first - from);
        }
    }

    /// <summary>A wave is packed; the next may be begun already.</summary>
    public void Packed()
    {
        lock (_lock) _wave++;
    }

    /// <summary>A wave begins: returns what the stages do before it, in order.</summary>
    public IReadOnlyList<CacheMove> Begin()
    {
        lock (_lock)
        {
            List<CacheMove> moves = _moves;
            _moves = [];
            return moves;
        }
    }

    /// <summary>Forgets blocks that a wave should have filled and did not, and what builds on them.</summary>
    public void Forget(IEnumerable<CachedBlock> blocks)
    {
        ArgumentNullException.ThrowIfNull(blocks);
        lock (_lock)
        {
            _misses++;
            foreach (CachedBlock block in blocks) Drop(block);
        }
    }

    /// <summary>A stage does not have a block: nothing else is to look for it.</summary>
    public void Missing(CachedBlock block)
    {
        lock (_lock) Drop(block);
    }

    /// <summary>A stage had no memory for a block: no more is kept there than there is now.</summary>
    public void OutOfRoom(CachedBlock block, CachePlace place)
    {
        ArgumentNullException.ThrowIfNull(block);
        lock (_lock)
        {
            Drop(block);
            CacheTier tier = place == CachePlace.Host ? _host : _device;
            tier.Capacity = Math.Min(tier.Capacity, tier.Tokens);
        }
    }

    /// <summary>The devices are short of memory: drops everything that is there, and keeps half as much from now on.</summary>
    public void Shrink()
    {
        lock (_lock)
        {
            _device.Capacity = Math.Min(_device.Capacity, _device.Tokens) / 2;
            _device.Evicted += _device.Tokens;
            while (_device.Nodes.First is { } place) Unstore(place.Value);
        }
    }

    /// <summary>Goes along a text as far as the tree knows it; a node of which the text has only a part is divided there.</summary>
    private (PromptNode Node, int Length) Walk(ReadOnlySpan<int> ids, bool storedOnly)
    {
        PromptNode node = _root;
        int length = 0;
        while (length < ids.Length && node.Children.TryGetValue(ids[length], out PromptNode? child)
            && (!storedOnly || child.Block is not null))
        {
            int common = child.Ids.Span.CommonPrefixLength(ids[length..]);
            if (common < child.Length)
            {
                PromptNode rest = child.Split(common);
                child.Place.List!.AddBefore(child.Place, rest.Place);
                if (child.Block is null) _seenBytes += PromptNode.OwnBytes;
            }

            length += common;
            node = child;
        }

        return (node, length);
    }

    /// <summary>Moves a node and those above it to the end of the order of use, parents behind their children.</summary>
    private void Touch(PromptNode? node)
    {
        for (; node is { Parent: not null }; node = node.Parent)
        {
            node.LastUse = _wave;
            LinkedList<PromptNode> list = node.Place.List!;
            list.Remove(node.Place);
            list.AddLast(node.Place);
        }
    }

    /// <summary>Forgets the leaves that were seen longest ago, but not <paramref name="kept"/>.</summary>
    private void ForgetSeen(PromptNode kept)
    {
        LinkedListNode<PromptNode>? place = _seen.First;
        while (_seenBytes > MaxSeenBytes && place is not null)
        {
            (PromptNode node, place) = (place.Value, place.Next);
            if (node == kept || node.Children.Count > 0) continue;
            _seen.Remove(node.Place);
            node.Parent!.Children.Remove(node.Ids.Span[0]);
            _seenBytes -= node.Bytes;
        }
    }

    /// <summary>
    /// Brings a node and those above it back from host memory, as far as the devices have room without what the waves at hand use. Returns
    /// the last that is there.
    /// </summary>
    private PromptNode BringBack(PromptNode node)
    {
        // Nothing that makes room takes the way itself.
        Touch(node);
        Stack<PromptNode> away = [];
        for (; _host.Has(node); node = node.Parent!) away.Push(node);
        while (away.TryPop(out PromptNode? next))
        {
            CachedBlock block = next.Block!;
            if (block.Place == CachePlace.Host)
            {
                if (!MakeRoom(_device, block.Rows, isNew: false)) break;
                Move(block, CachePlace.Device);
                _returnedTokens += block.Rows;
            }

            _device.Take(next);
            node = next;
        }

        Touch(node);
        return node;
    }

    /// <summary>Makes leaves leave a tier until there is room; false if there is none without what is better kept.</summary>
    private bool MakeRoom(CacheTier tier, int rows, bool isNew)
    {
        if (_partSeenAgain >= Often) return Evict(tier, rows, unusedOnly: false);
        return Evict(tier, rows, unusedOnly: true) || (!isNew && Evict(tier, rows, unusedOnly: false));
    }

    /// <summary>Makes leaves leave a tier until there is room; false if there is none without what the waves at hand use.</summary>
    private bool Evict(CacheTier tier, int rows, bool unusedOnly)
    {
        LinkedListNode<PromptNode>? place = tier.Nodes.First;
        while (tier.Tokens + rows > tier.Capacity)
        {
            if (rows > tier.Capacity || place is null || place.Value.LastUse > _wave - WavesAhead) return false;
            PromptNode node = place.Value;
            place = place.Next;
            if ((unusedOnly && node.IsUsed) || node.Children.Values.Any(tier.Has)) continue;
            tier.Evicted += node.Length;
            // Its parent, which stands behind it in the order, may be the next.
            if (tier == _device) LeaveDevice(node);
            else Unstore(node);
        }

        return true;
    }

    /// <summary>
    /// Gives a node of the devices a place in host memory, to which its block goes with the last of its nodes; or drops it.
    /// </summary>
    private void LeaveDevice(PromptNode node)
    {
        CachedBlock block = node.Block!;
        bool isNew = !block.Nodes.Any(part => part.IsUsed);
        if (_host.Capacity < block.Rows || (isNew && _partSeenAgain < WorthCopies))
        {
            Unstore(node);
            return;
        }

        _host.Take(node);
        if (block.Nodes.Any(_device.Has)) return;
        if (!MakeRoom(_host, block.Rows, isNew)) Drop(block);
        else if (block.Place == CachePlace.Device) Move(block, CachePlace.Host);
    }

    /// <summary>Notes that a block goes elsewhere, for the stages to follow.</summary>
    private void Move(CachedBlock block, CachePlace to)
    {
        (block.Place == CachePlace.Host ? _host : _device).Tokens -= block.Rows;
        if (to != CachePlace.Nowhere) (to == CachePlace.Host ? _host : _device).Tokens += block.Rows;
        block.Place = to;
        _moves.Add(new CacheMove(this, block, to));
    }

    private void Drop(CachedBlock block)
    {
        while (block.Nodes.Count > 0) Unstore(block.Nodes[0]);
    }

    /// <summary>Makes a node and all below it ones that were only seen; a block without nodes is dropped.</summary>
    private void Unstore(PromptNode top)
    {
        // Not by recursion: texts of which each is the beginning of the next make a way as long as the longest of them.
        List<PromptNode> stored = [top];
        for (int i = 0; i < stored.Count; i++) stored.AddRange(stored[i].Children.Values.Where(child => child.Block is not null));
        stored.Reverse();
        foreach (PromptNode node in stored)
        {
            CachedBlock block = node.Block!;
            block.Nodes.Remove(node);
            node.Block = null;
            node.Place.List!.Remove(node.Place);
            _seen.AddLast(node.Place);
            _seenBytes += node.Bytes;
            if (block.Nodes.Count == 0) Move(block, CachePlace.Nowhere);
        }
    }
}
