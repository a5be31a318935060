namespace LdlVk.Runtime.Text;

/// <summary>What byte-pair encoding needs to know: the pieces of one character or byte, and which pairs of pieces merge.</summary>
/// <param name="Characters">Ids of the pieces that are one Unicode character, by code point; empty where all symbols are bytes.</param>
/// <param name="Bytes">[256] ids of the pieces that are one byte; unused where the byte is a character that is a piece.</param>
/// <param name="Merges">By <see cref="Pair"/>: the merge's rank and the id of the piece it makes.</param>
internal sealed record BytePairVocabulary(
    Dictionary<int, int> Characters, int[] Bytes, Dictionary<ulong, (int Rank, int Id)> Merges)
{
    /// <summary>
    /// Two neighboring ids as a key. Multiplying by an odd number keeps keys distinct and spreads them: a dictionary hashes a
    /// ulong to the xor of its halves, and left ^ right of 580,604 merges fall on so few values that look-ups took ten times as long.
    /// </summary>
    internal static ulong Pair(int left, int right) => (((ulong)(uint)left << 32) | (uint)right) * 0x9E3779B97F4A7C15;
}
