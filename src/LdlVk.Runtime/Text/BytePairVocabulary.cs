namespace LdlVk.Runtime.Text;

/// <summary>The tables of byte-pair encoding: the pieces of one character or byte, and the merges of two pieces.</summary>
/// <param name="Pieces">Ids of all pieces by content.</param>
/// <param name="Characters">Ids of the pieces of one Unicode character, by code point; empty if all symbols are bytes.</param>
/// <param name="Bytes">[256] Ids of the pieces of one byte, -1 where there is none; for what <paramref name="Characters"/> lacks.</param>
/// <param name="Merges">By <see cref="Pair"/>: the rank of the merge, and the id of the resulting piece.</param>
internal sealed record BytePairVocabulary(
    Dictionary<string, int> Pieces, Dictionary<int, int> Characters, int[] Bytes, Dictionary<ulong, (int Rank, int Id)> Merges)
{
    /// <summary>Id of the piece for characters that are no piece and have no bytes; -1 to leave them out.</summary>
    public int Unknown { get; init; } = -1;

    /// <summary>Whether unknown characters beside each other are one piece.</summary>
    public bool FusesUnknown { get; init; }

    /// <summary>Whether pieces are stored in <see cref="ByteLevel"/> form.</summary>
    public bool IsByteLevel { get; init; }

    /// <summary>Whether a word that is a piece is that piece, whether merges reach it or not.</summary>
    public bool IgnoresMerges { get; init; }

    /// <summary>
    /// Returns the dictionary key of two neighboring ids. The multiplication by an odd number keeps keys distinct and spreads their hashes:
    /// a dictionary hashes a ulong to the xor of its halves, and left ^ right of 580,604 merges has so few distinct values that look-ups
    /// took ten times as long.
    /// </summary>
    internal static ulong Pair(int left, int right) => (((ulong)(uint)left << 32) | (uint)right) * 0x9E3779B97F4A7C15;
}
