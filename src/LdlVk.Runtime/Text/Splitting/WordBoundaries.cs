namespace LdlVk.Runtime.Text.Splitting;

/// <summary>
/// Where normalized text may be cut into words without changing its ids: between characters x and y if no merge joins a
/// piece that ends in x with a piece that begins with y, since then no token can reach across. Read off the merges
/// themselves, so it is lossless for any vocabulary. In Gemma-2 it cuts before ▁, around \n and \t, and at much punctuation.
/// </summary>
internal sealed class WordBoundaries : WordSplitter
{
    private const int Ascii = 128;
    private const char Space = '▁';

    // Pairs that some merge joins. ASCII, with ▁ in the place of the space it stands for, has a table; the rest a set.
    private readonly bool[] asciiJoins = new bool[Ascii * Ascii];
    private readonly HashSet<uint> otherJoins = [];

    /// <inheritdoc/>
    public override int Next(ReadOnlySpan<char> text)
    {
        int end = 1;
        while (end < text.Length && !CanCut(text[end - 1], text[end])) end++;
        return end;
    }

    /// <summary>
    /// Notes that a merge joins a piece ending in <paramref name="last"/> with one beginning with <paramref name="first"/>.
    /// </summary>
    internal void Join(char last, char first)
    {
        (int x, int y) = (Index(last), Index(first));
        if ((x | y) < Ascii) asciiJoins[x * Ascii + y] = true;
        else otherJoins.Add(Pair(last, first));
    }

    /// <summary>Whether text may be cut between two neighbors. Surrogates count one by one, and a pair of them is never cut.</summary>
    internal bool CanCut(char before, char after)
    {
        (int x, int y) = (Index(before), Index(after));
        if ((x | y) < Ascii) return !asciiJoins[x * Ascii + y];
        return !char.IsLowSurrogate(after) && !otherJoins.Contains(Pair(before, after));
    }

    private static int Index(char c) => c == Space ? ' ' : c;

    private static uint Pair(char x, char y) => ((uint)x << 16) | y;
}
