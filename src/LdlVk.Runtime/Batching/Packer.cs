using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Batching;

/// <summary>Packs texts into micro-batches.</summary>
public static class Packer
{
    /// <summary>Packs every text into one of the returned micro-batches.</summary>
    /// <param name="texts">Token ids of each text, none empty.</param>
    /// <param name="maxTokens">Rows of a micro-batch, and texts of it (the last layer has a row a text); a longer text gets one of its own.</param>
    /// <param name="sharePrefixes">Whether equal beginnings are computed once. The scores are the same, to the bit.</param>
    public static IEnumerable<MicroBatch> Pack(IReadOnlyList<int[]> texts, int maxTokens, bool sharePrefixes = true)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxTokens);
        IEnumerable<PrefixGroup> groups = sharePrefixes
            ? PrefixGroups.Find(texts)
            : Enumerable.Range(0, texts.Count).Select(i => new PrefixGroup([i], 0));
        var batch = new Builder();
        foreach (PrefixGroup group in groups)
        {
            if (batch.Rows > 0 && IsBetterAlone(group, texts, maxTokens - batch.Rows, maxTokens))
            {
                yield return batch.Build();
                batch = new Builder();
            }

            int prefixRow = -1;
            foreach (int text in group.Texts)
            {
                int[] ids = texts[text];
                if (ids.Length == 0) throw new ArgumentException($"Text {text} has no tokens.");
                int own = ids.Length - group.PrefixLength;
                int needed = own + (prefixRow < 0 ? group.PrefixLength : 0);
                // A text that is no more than a prefix already there needs no rows, however full the batch is.
                if (batch.Rows > 0 && ((needed > 0 && batch.Rows + needed > maxTokens) || batch.Texts == maxTokens))
                {
                    yield return batch.Build();
                    batch = new Builder();
                    prefixRow = -1;
                }

                if (prefixRow < 0 && group.PrefixLength > 0) prefixRow = batch.AddRun(ids, 0, group.PrefixLength, 0, 0);
                batch.AddText(text, ids, prefixRow, group.PrefixLength);
            }
        }

        if (batch.Rows > 0) yield return batch.Build();
    }

    /// <summary>
    /// Whether a group is to begin a micro-batch: it fits into one, not into what is left of this one, and a batch's end inside it would
    /// have a long prefix computed twice. Best of 16 with prompts of 1,000 tokens and answers of 100 would lose a quarter by that. A prefix
    /// of less than a 32nd of a batch costs less than the batch that stays unfilled.
    /// </summary>
    private static bool IsBetterAlone(PrefixGroup group, IReadOnlyList<int[]> texts, int left, int maxTokens)
    {
        if (group.PrefixLength <= maxTokens / 32) return false;
        long rows = group.PrefixLength + group.Texts.Sum(text => (long)texts[text].Length - group.PrefixLength);
        return rows > left && rows <= maxTokens;
    }

    private sealed class Builder
    {
        private readonly List<int> _tokenIds = [], _positions = [], _texts = [], _lastRows = [], _lastPositions = [];
        private readonly List<AttentionSegment> _segments = [], _lastSegments = [];

        public int Rows => _tokenIds.Count;

        public int Texts => _texts.Count;

        /// <summary>Adds the tokens [from, to) of a text as rows with a segment; returns the first row.</summary>
        public int AddRun(int[] ids, int from, int to, int prefixRow, int prefixLength)
        {
            int row = Rows;
            _tokenIds.AddRange(ids.AsSpan(from, to - from));
            _positions.AddRange(Enumerable.Range(from, to - from));
            _segments.Add(new AttentionSegment(row, to - from, from, prefixRow, prefixLength, row));
            return row;
        }

        public void AddText(int text, int[] ids, int prefixRow, int prefixLength)
        {
            // A text that is nothing but the prefix has its last row there.
            int ownRow = Rows;
            bool hasOwn = ids.Length > prefixLength;
            if (hasOwn) AddRun(ids, prefixLength, ids.Length, prefixRow, prefixLength);
            int last = ids.Length - 1;
            _lastSegments.Add(new AttentionSegment(_texts.Count, 1, last, prefixRow, prefixLength, ownRow));
            _texts.Add(text);
            _lastRows.Add(hasOwn ? ownRow + last - prefixLength : prefixRow + last);
            _lastPositions.Add(last);
        }

        public MicroBatch Build() => new()
        {
            TokenIds = [.. _tokenIds],
            Positions = [.. _positions],
            Segments = [.. _segments],
            Texts = [.. _texts],
            LastRows = [.. _lastRows],
            LastPositions = [.. _lastPositions],
            LastSegments = [.. _lastSegments],
        };
    }
}
