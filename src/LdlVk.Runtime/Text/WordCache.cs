namespace LdlVk.Runtime.Text;

/// <summary>
/// A cache of the ids of recent words. The hash of a word selects its slot, and a new word replaces the old one, so the size is bounded
/// without bookkeeping. Entries are immutable and slots are written atomically. Thread-safe.
/// </summary>
internal sealed class WordCache
{
    /// <summary>Maximum length of a cached word; longer words are rare and seldom repeat.</summary>
    internal const int MaxWordLength = 64;

    private const int Slots = 1 << 16; // at most about 15 MB when full
    private readonly Entry?[] entries = new Entry?[Slots];

    /// <summary>Finds the ids of a word; null if it is not cached. <paramref name="slot"/> is its slot for <see cref="Store"/>.</summary>
    internal int[]? Find(ReadOnlySpan<char> word, out int slot)
    {
        // The hash has a random seed per process, so an attacker cannot construct collisions.
        slot = string.GetHashCode(word) & (Slots - 1);
        Entry? entry = Volatile.Read(ref entries[slot]);
        return entry is not null && word.SequenceEqual(entry.Word) ? entry.Ids : null;
    }

    /// <summary>Stores a word's ids.</summary>
    internal void Store(int slot, string word, int[] ids) => Volatile.Write(ref entries[slot], new Entry(word, ids));

    private sealed class Entry(string word, int[] ids)
    {
        internal readonly string Word = word;
        internal readonly int[] Ids = ids;
    }
}
