using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Batching;

/// <summary>Collects the rows of a micro-batch.</summary>
internal sealed class MicroBatchBuilder
{
    private readonly int _keptRows;
    private readonly List<int> _tokenIds = [], _positions = [], _texts = [], _tokenCounts = [], _readRows = [], _readPositions = [];
    private readonly List<AttentionSegment> _segments = [], _readSegments = [];
    private readonly List<ReadRow[]> _reads = [];

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

    /// <summary>Begins the next micro-batch of a chain, which keeps this one's prefix.</summary>
    public MicroBatchBuilder Next(int prefixLength) => new(prefixLength, _prefixReads);

    /// <summary>Adds a prefix, and reads those of its positions that its texts read; returns the row of its first key.</summary>
    public int AddPrefix(int[] ids, int length, IEnumerable<int> reads)
    {
        int keyRow = AddRows(ids, 0, length, 0, 0);
        _prefixReads.Clear();
        foreach (int position in reads.Where(position => position < length).Distinct().Order())
            _prefixReads.Add(position, Read(position, keyRow, length, keyRow + length));
        return keyRow;
    }

    /// <summary>Adds a text whose prefix was added, here or in an earlier micro-batch of the chain.</summary>
    public void AddText(int number, PackedText text, int prefixRow, int prefixLength)
    {
        int ownRow = _keptRows + Rows;
        if (text.Ids.Length > prefixLength) AddRows(text.Ids, prefixLength, text.Ids.Length, prefixRow, prefixLength);
        Dictionary<int, ReadRow> own = [];
        var reads = new ReadRow[text.Reads.Length];
        for (int i = 0; i < reads.Length; i++)
        {
            int position = text.Reads[i];
            if (position < prefixLength) reads[i] = _prefixReads[position];
            else if (!own.TryGetValue(position, out reads[i]))
                own.Add(position, reads[i] = Read(position, prefixRow, prefixLength, ownRow));
        }

        _texts.Add(number);
        _tokenCounts.Add(text.Ids.Length);
        _reads.Add(reads);
    }

    public MicroBatch Build() => new()
    {
        KeptRows = _keptRows,
        TokenIds = [.. _tokenIds],
        Positions = [.. _positions],
        Segments = [.. _segments],
        Texts = [.. _texts],
        TokenCounts = [.. _tokenCounts],
        Reads = [.. _reads],
        ReadRows = [.. _readRows],
        ReadPositions = [.. _readPositions],
        ReadSegments = [.. _readSegments],
    };

    /// <summary>Adds the tokens [from, to) of a text as rows with a segment; returns the row of the first one's key.</summary>
    private int AddRows(int[] ids, int from, int to, int prefixRow, int prefixLength)
    {
        int row = Rows, keyRow = _keptRows + row;
        _tokenIds.AddRange(ids.AsSpan(from, to - from));
        _positions.AddRange(Enumerable.Range(from, to - from));
        _segments.Add(new AttentionSegment(row, to - from, from, prefixRow, prefixLength, keyRow));
        return keyRow;
    }

    /// <summary>Reads a row of this micro-batch.</summary>
    private ReadRow Read(int position, int prefixRow, int prefixLength, int ownRow)
    {
        int index = _readRows.Count;
        int keyRow = position < prefixLength ? prefixRow + position : ownRow + position - prefixLength;
        _readRows.Add(keyRow - _keptRows);
        _readPositions.Add(position);
        _readSegments.Add(new AttentionSegment(index, 1, position, prefixRow, prefixLength, ownRow));
        return new ReadRow(0, index);
    }
}
