using System.Text;

namespace LdlVk.Runtime.Text;

/// <summary>
/// Byte-pair encoding by merge rank (Sennrich et al. 2016, as implemented in Hugging Face tokenizers). It starts from single characters
/// and repeatedly merges the neighbors with the lowest rank, the leftmost on ties. A heap and a linked list make it O(n log n) for
/// any word. An instance reuses its buffers; it is not thread-safe.
/// </summary>
/// <remarks>
/// BpeTokenizer of Microsoft.ML.Tokenizers returns the same ids. It was replaced because with Gemma-2's merges it encoded new words at only
/// 3.3 MB/s, needed twice the memory (164 MB), and took time quadratic in the length of a word (200,000 times "a": 2.2 s).
/// </remarks>
internal sealed class BytePairEncoder(BytePairVocabulary vocabulary)
{
    private const int None = -1;

    // The word as a linked list: the symbol at i, its neighbors, and its merge with the right neighbor (rank None if there is none).
    private int[] ids = [], previous = [], next = [], ranks = [], merged = [], starts = [];
    private readonly PriorityQueue<int, long> queue = new(); // left position, by rank then position
    private int count;

    /// <summary>Encodes a word of normalized, well-formed UTF-16. The returned ids are valid until the next call.</summary>
    internal ReadOnlySpan<int> Encode(ReadOnlySpan<char> word)
    {
        if (vocabulary.IgnoresMerges && TryWhole(word)) return ids.AsSpan(0, 1);
        Split(word);
        for (int i = 0; i < count; i++)
        {
            previous[i] = i - 1;
            next[i] = i + 1;
        }
        for (int i = 0; i < count; i++) Offer(i);

        while (queue.TryDequeue(out int left, out long priority))
        {
            // Queue entries are not removed when their pair changes. A pair has exactly one rank, so another rank marks a stale entry.
            if (ranks[left] != (int)(priority >> 32)) continue;
            int right = next[left];
            ids[left] = merged[left];
            ranks[right] = None;
            next[left] = next[right];
            if (next[left] < count) previous[next[left]] = left;
            Offer(left);
            if (previous[left] >= 0) Offer(previous[left]);
        }

        int length = 0;
        for (int i = 0; i < count; i = next[i]) (ids[length], starts[length++]) = (ids[i], starts[i]);
        return ids.AsSpan(0, length);
    }

    /// <summary>Index in the word of the last encoding's tokens: where the character begins that a token begins in.</summary>
    internal ReadOnlySpan<int> Starts => starts;

    // A word that is a piece needs no merges, and some pieces cannot be reached by merges.
    private bool TryWhole(ReadOnlySpan<char> word)
    {
        const int LongestPiece = 1024;
        if (word.Length > LongestPiece) return false;
        var pieces = vocabulary.Pieces.GetAlternateLookup<ReadOnlySpan<char>>();
        int id;
        if (vocabulary.IsByteLevel)
        {
            Span<byte> utf8 = stackalloc byte[3 * word.Length];
            utf8 = utf8[..Encoding.UTF8.GetBytes(word, utf8)];
            Span<char> written = stackalloc char[utf8.Length];
            for (int i = 0; i < utf8.Length; i++) written[i] = ByteLevel.Characters[utf8[i]];
            if (!pieces.TryGetValue(written, out id)) return false;
        }
        else if (!pieces.TryGetValue(word, out id)) return false;

        Grow(1);
        (ids[0], starts[0]) = (id, 0);
        return true;
    }

    private void Grow(int max)
    {
        if (ids.Length >= max) return;
        int size = Math.Max(max, 64);
        (ids, previous, next) = (new int[size], new int[size], new int[size]);
        (ranks, merged, starts) = (new int[size], new int[size], new int[size]);
    }

    // One symbol per character. A character outside the vocabulary becomes its UTF-8 bytes, or the unknown piece if one of them is no
    // piece. An unknown piece is only written when the next piece of the vocabulary is: bytes overtake it, as in the reference.
    private void Split(ReadOnlySpan<char> word)
    {
        Grow(3 * word.Length + 1); // a UTF-16 unit has up to 3 UTF-8 bytes
        count = 0;
        Span<byte> utf8 = stackalloc byte[4];
        int at = 0, unknown = -1;
        foreach (Rune rune in word.EnumerateRunes())
        {
            int start = at;
            at += rune.Utf16SequenceLength;
            if (vocabulary.Characters.TryGetValue(rune.Value, out int id))
            {
                if (unknown >= 0) AddUnknown(ref unknown);
                Add(id, start);
                continue;
            }

            ReadOnlySpan<byte> bytes = utf8[..rune.EncodeToUtf8(utf8)];
            bool isComplete = true;
            foreach (byte b in bytes) isComplete &= vocabulary.Bytes[b] >= 0;
            if (isComplete)
                foreach (byte b in bytes) Add(vocabulary.Bytes[b], start);
            else if (vocabulary.IsByteLevel)
                foreach (byte b in bytes) AddByteCharacter(vocabulary.Bytes[b], start, ref unknown);
            else SetUnknown(start, ref unknown);
        }

        if (unknown >= 0) AddUnknown(ref unknown);
    }

    private void Add(int id, int start) => (ids[count], starts[count++]) = (id, start);

    private void AddByteCharacter(int id, int start, ref int unknown)
    {
        if (id < 0)
        {
            SetUnknown(start, ref unknown);
            return;
        }

        if (unknown >= 0) AddUnknown(ref unknown);
        Add(id, start);
    }

    private void SetUnknown(int start, ref int unknown)
    {
        if (vocabulary.Unknown < 0 || (unknown >= 0 && vocabulary.FusesUnknown)) return;
        if (unknown >= 0) AddUnknown(ref unknown);
        unknown = start;
    }

    private void AddUnknown(ref int unknown)
    {
        Add(vocabulary.Unknown, unknown);
        unknown = -1;
    }

    // Queues the merge of the symbol at left with its right neighbor, if the pair merges.
    private void Offer(int left)
    {
        ranks[left] = None;
        int right = next[left];
        if (right >= count || !vocabulary.Merges.TryGetValue(BytePairVocabulary.Pair(ids[left], ids[right]), out var merge)) return;
        (ranks[left], merged[left]) = merge;
        queue.Enqueue(left, ((long)merge.Rank << 32) | (uint)left);
    }
}
