namespace LdlVk.Runtime.Batching;

/// <summary>Texts that begin with the same <paramref name="PrefixLength"/> tokens.</summary>
/// <param name="Texts">Their numbers in the caller's list.</param>
/// <param name="PrefixLength">Tokens computed once for all of them; 0 for a text on its own.</param>
internal sealed record PrefixGroup(List<int> Texts, int PrefixLength);

/// <summary>Finds texts with shared beginnings, such as the responses to one prompt.</summary>
internal static class PrefixGroups
{
    /// <summary>
    /// Groups the texts. In the order of their ids, texts with a common prefix are neighbours; a group takes its next neighbour as long as
    /// that saves at least as many tokens as it saved without. Groups come in the order of their first text in the caller's list.
    /// </summary>
    public static List<PrefixGroup> Find(IReadOnlyList<int[]> texts)
    {
        int[] order = [.. Enumerable.Range(0, texts.Count)];
        Array.Sort(order, (a, b) => texts[a].AsSpan().SequenceCompareTo(texts[b]) is var c && c != 0 ? c : a.CompareTo(b));
        List<PrefixGroup> groups = [];
        for (int i = 0; i < order.Length;)
        {
            List<int> members = [order[i]];
            int prefix = texts[order[i]].Length;
            for (i++; i < order.Length; i++)
            {
                // The group's prefix is a prefix of its last member, so comparing with that member is enough.
                int common = Math.Min(prefix, texts[members[^1]].AsSpan().CommonPrefixLength(texts[order[i]]));
                long savedNow = (members.Count - 1L) * prefix;
                if (common == 0 || (long)members.Count * common < savedNow) break;
                prefix = common;
                members.Add(order[i]);
            }

            members.Sort();
            groups.Add(new PrefixGroup(members, members.Count > 1 ? prefix : 0));
        }

        groups.Sort((a, b) => a.Texts[0].CompareTo(b.Texts[0]));
        return groups;
    }
}
