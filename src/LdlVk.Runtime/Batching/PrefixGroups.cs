namespace LdlVk.Runtime.Batching;

/// <summary>Texts that begin with the same <paramref name="PrefixLength"/> tokens.</summary>
/// <param name="Texts">Their numbers in the caller's list.</param>
/// <param name="PrefixLength">Tokens computed once for all of them; 0 for a text on its own.</param>
internal sealed record PrefixGroup(List<int> Texts, int PrefixLength);

/// <summary>Finds texts with shared beginnings, such as the responses to one prompt.</summary>
internal static class PrefixGroups
{
    /// <summary>Maximum texts of a group. It bounds the search where thousands of short texts begin alike.</summary>
    private const int MaxGroupTexts = 4096;

    /// <summary>
    /// Groups the texts so that the number of tokens to compute is minimal. Sorted by their ids, texts with a common prefix are neighbors:
    /// a group is a run of the sorted texts, and dynamic programming finds the best division into runs. Joining runs greedily is not
    /// enough: every conversation shares the template's first tokens with every other, so a single text would join the responses to the
    /// next prompt in a group that shares only these tokens. Groups are in the order of their first text in the caller's list.
    /// </summary>
    public static List<PrefixGroup> Find(IReadOnlyList<int[]> texts)
    {
        int[] order = [.. Enumerable.Range(0, texts.Count)];
        Array.Sort(order, (a, b) => texts[a].AsSpan().SequenceCompareTo(texts[b]) is var c && c != 0 ? c : a.CompareTo(b));
        int[] common = new int[order.Length]; // tokens that a text shares with the one before it in the order
        for (int i = 1; i < order.Length; i++) common[i] = texts[order[i - 1]].AsSpan().CommonPrefixLength(texts[order[i]]);

        // For the first `end` sorted texts: the tokens that their best groups save, and the beginning of the last group.
        var best = new (long Saved, int Begin, int Prefix)[order.Length + 1];
        for (int end = 1; end <= order.Length; end++)
        {
            best[end] = (best[end - 1].Saved, end - 1, 0);
            int prefix = int.MaxValue;
            for (int begin = end - 2; begin >= Math.Max(0, end - MaxGroupTexts); begin--)
            {
                prefix = Math.Min(prefix, common[begin + 1]);
                if (prefix == 0) break;
                long saved = best[begin].Saved + ((end - begin - 1L) * prefix);
                if (saved > best[end].Saved) best[end] = (saved, begin, prefix);
            }
        }

        List<PrefixGroup> groups = [];
        for (int end = order.Length; end > 0; end = best[end].Begin)
            groups.Add(new PrefixGroup([.. order[best[end].Begin..end].Order()], best[end].Prefix));
        groups.Sort((a, b) => a.Texts[0].CompareTo(b.Texts[0]));
        return groups;
    }
}
