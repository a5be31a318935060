namespace LdlVk.Runtime.Text;

/// <summary>
/// The ids of words met lately. Each word has one slot, by its hash, and the latest word to come takes it: bounded
/// without any book-keeping. Entries never change once written and slots are written whole, so threads share it freely.
/// </summary>
internal sealed class WordCache
{
    /// <summary>Longer words are rare and seldom repeat.</summary>
    internal const int MaxWordLength = 64;

    private const int Slots = 1 << 16; // at most about 15 MB when full
    private readonly Entry?[] entries = new Entry?[Slots];

    /// <summary>The ids of a word, or null; <paramref name="slot"/> is where <see cref="Store"/> puts it.</summary>
    internal int[]? Find(ReadOnlySpan<char> word, out int slot)
    {
        // This hash is seeded afresh in every process: nobody can send text made to collide.
        slot = string.GetHashCode(word) & (Slots - 1);
        Entry? entry = Volatile.Read(ref entries[slot]);
        return entry is not null && word.SequenceEqual(entry.Word) ? entry.Ids : null;
    }

    /// <summary>Keeps a word's ids.</summary>
    internal void Store(int slot, string word, int[] ids) => Volatile.Write(ref entries[slot], new Entry(word, ids));

    private sealed class Entry(string word, int[] ids)
    {
        internal readonly string Word = word;
        internal readonly int[] Ids = ids;
    }
}
