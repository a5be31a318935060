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
    private int[] ids = [], previous = [], next = [], ranks = [], merged = [];
    private readonly PriorityQueue<int, long> queue = new(); // left position, by rank then position
    private int count;

    /// <summary>Encodes a word of normalized, well-formed UTF-16. The returned ids are valid until the next call.</summary>
    internal ReadOnlySpan<int> Encode(ReadOnlySpan<char> word)
    {
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
        for (int i = 0; i < count; i = next[i]) ids[length++] = ids[i];
        return ids.AsSpan(0, length);
    }

    // One symbol per character. A character outside the vocabulary becomes its UTF-8 bytes.
    private void Split(ReadOnlySpan<char> word)
    {
        int max = 3 * word.Length; // a UTF-16 unit has up to 3 UTF-8 bytes
        if (ids.Length < max)
        {
            int size = Math.Max(max, 64);
            (ids, previous, next, ranks, merged) = (new int[size], new int[size], new int[size], new int[size], new int[size]);
        }
        count = 0;
        Span<byte> utf8 = stackalloc byte[4];
        foreach (Rune rune in word.EnumerateRunes())
        {
            if (vocabulary.Characters.TryGetValue(rune.Value, out int id)) ids[count++] = id;
            else
                foreach (byte b in utf8[..rune.EncodeToUtf8(utf8)]) ids[count++] = vocabulary.Bytes[b];
        }
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
