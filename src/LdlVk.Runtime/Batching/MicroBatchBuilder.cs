using LdlVk.Runtime.Caching;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Batching;

/// <summary>Collects the rows of a micro-batch.</summary>
internal sealed class MicroBatchBuilder
{
    private readonly int _keptRows;
    private readonly List<int> _tokenIds = [], _positions = [], _texts = [], _tokenCounts = [], _cachedCounts = [], _readRows = [],
        _readPositions = [];
    private readonly List<AttentionSegment> _segments = [], _readSegments = [];
    private readonly List<ReadRow[]> _reads = [];
    private readonly List<(CachedRows From, int Row)> _taken = [];
    private readonly List<(int From, int Count, int Row)> _copied = [];
    private readonly List<(CachedBlock Block, int From)> _kept = [];

    /// <summary>The rows of the group's prefix that are read, by their positions.</summary>
    private readonly Dictionary<int, ReadRow> _prefixReads = [];

    /// <summary>Begins a micro-batch that depends on no other.</summary>
    public MicroBatchBuilder()
    {
    }

    private MicroBatchBuilder(int keptRows, Dictionary<int, ReadRow> prefixReads)
    {
        _keptRows = keptRows;
        foreach ((int position, ReadRow read) in prefixReads)
            _prefixReads.Add(position, read with { BatchesBack = read.BatchesBack + 1 });
    }

    public int Rows => _tokenIds.Count;

    public int Texts => _texts.Count;

    /// <summary>Rows of keys and values that are put together of what the prompt cache has and what is computed here.</summary>
    public int AssembledRows { get; private set; }

    /// <summary>Begins the next micro-batch of a chain, which keeps this one's prefix.</summary>
    public MicroBatchBuilder Next(int prefixLength) => new(prefixLength, _prefixReads);

    /// <summary>
    /// Adds a prefix, and reads those of its positions that its texts read, all behind its cached beginning. Returns its place, to be given
    /// to <see cref="AddText"/>.
    /// </summary>
    /// <param name="ids">A text that begins with it.</param>
    /// <param name="length">Its length.</param>
    /// <param name="cached">Its beginning in the prompt cache.</param>
    /// <param name="reads">The positions that its texts read.</param>
    /// <param name="kept">The block that keeps what is computed of it; null for none.</param>
    public int AddPrefix(int[] ids, int length, CacheMatch cached, IEnumerable<int> reads, KeptBlock? kept)
    {
        int first = Rows, place = _keptRows + first;
        if (cached.Length > 0)
        {
            place = ~AssembledRows;
            int row = AssembledRows;
            foreach (CachedRows rows in cached.Rows)
            {
                _taken.Add((rows, row));
                row += rows.Count;
            }

            if (length > cached.Length) _copied.Add((_keptRows + first, length - cached.Length, row));
            AssembledRows += length;
        }

        if (length > cached.Length) AddRows(ids, cached.Length, length, cached.Length > 0 ? place : 0, cached.Length);
        if (kept is { } prefix) _kept.Add((prefix.Block, _keptRows + first + prefix.Skipped));
        _prefixReads.Clear();
        foreach (int position in reads.Where(position => position < length).Distinct().Order())
            _prefixReads.Add(position, Read(first + position - cached.Length, position, place, length, ownRow: 0));
        return place;
    }

    /// <summary>Adds a text whose prefix was added, here or in an earlier micro-batch of the chain.</summary>
    /// <param name="number">Its number.</param>
    /// <param name="text">The text.</param>
    /// <param name="prefixPlace">What <see cref="AddPrefix"/> returned.</param>
    /// <param name="prefixLength">The prefix's length.</param>
    /// <param name="cached">How many of its tokens came from the prompt cache.</param>
    /// <param name="kept">The block that keeps the text's first own tokens; null for none.</param>
    public void AddText(int number, PackedText text, int prefixPlace, int prefixLength, int cached = 0, KeptBlock? kept = null)
    {
        int first = Rows, ownRow = _keptRows + first;
        if (text.Ids.Length > prefixLength) AddRows(text.Ids, prefixLength, text.Ids.Length, prefixPlace, prefixLength);
        if (kept is { } own) _kept.Add((own.Block, ownRow + own.Skipped));
        Dictionary<int, ReadRow> ownReads = [];
        var reads = new ReadRow[text.Reads.Length];
        for (int i = 0; i < reads.Length; i++)
        {
            int position = text.Reads[i];
            if (position < prefixLength) reads[i] = _prefixReads[position];
            else if (!ownReads.TryGetValue(position, out reads[i]))
                ownReads.Add(position, reads[i] = Read(first + position - prefixLength, position, prefixPlace, prefixLength, ownRow));
        }

        _texts.Add(number);
        _tokenCounts.Add(text.Ids.Length);
        _cachedCounts.Add(cached);
        _reads.Add(reads);
    }

    /// <summary>Makes the micro-batch.</summary>
    /// <param name="cache">The cache that it takes from and leaves to; null for none.</param>
    public MicroBatch Build(PromptCache? cache)
    {
        int assembled = _keptRows + Rows;
        return new MicroBatch
        {
            KeptRows = _keptRows,
            TokenIds = [.. _tokenIds],
            Positions = [.. _positions],
            Segments = [.. _segments.Select(Placed)],
            Texts = [.. _texts],
            TokenCounts = [.. _tokenCounts],
            CachedCounts = [.. _cachedCounts],
            Reads = [.. _reads],
            ReadRows = [.. _readRows],
            ReadPositions = [.. _readPositions],
            ReadSegments = [.. _readSegments.Select(Placed)],
            Cache = _taken.Count + _kept.Count == 0 ? null : new CacheTraffic(
                cache!, AssembledRows, [.. _taken.Select(t => (t.From, t.Row + assembled))],
                [.. _copied.Select(c => (c.From, c.Count, c.Row + assembled))], [.. _kept]),
        };

        // The assembled rows lie behind the batch's own, of which there are all now.
        AttentionSegment Placed(AttentionSegment segment) =>
            segment.PrefixRow < 0 ? segment with { PrefixRow = assembled + ~segment.PrefixRow } : segment;
    }

    /// <summary>Adds the tokens [from, to) of a text as rows with a segment.</summary>
    private void AddRows(int[] ids, int from, int to, int prefixPlace, int prefixLength)
    {
        int row = Rows;
        _tokenIds.AddRange(ids.AsSpan(from, to - from));
        _positions.AddRange(Enumerable.Range(from, to - from));
        _segments.Add(new AttentionSegment(row, to - from, from, prefixPlace, prefixLength, _keptRows + row));
    }

    /// <summary>Reads a row of this micro-batch.</summary>
    private ReadRow Read(int row, int position, int prefixPlace, int prefixLength, int ownRow)
    {
        int index = _readRows.Count;
        _readRows.Add(row);
        _readPositions.Add(position);
        _readSegments.Add(new AttentionSegment(index, 1, position, prefixPlace, prefixLength, ownRow));
        return new ReadRow(0, index);
    }
}
