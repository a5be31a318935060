using System.Buffers;

namespace LdlVk.Runtime.Text;

/// <summary>
/// Finds added tokens (<c>&lt;bos&gt;</c>, <c>\n\n</c>, …) in raw text: the leftmost match, and the longest of several at one position.
/// </summary>
internal sealed class AddedTokens
{
    // A trie: the child of a node for a character, and the id of the token that ends at a node, or -1.
    private readonly Dictionary<(int Node, char Character), int> children = [];
    private readonly List<int> tokens = [-1];
    private readonly SearchValues<char> firstCharacters;

    internal AddedTokens(IReadOnlyDictionary<string, int> idsByContent)
    {
        foreach ((string content, int id) in idsByContent)
        {
            int node = 0;
            foreach (char c in content)
            {
                if (!children.TryGetValue((node, c), out int child))
                {
                    child = tokens.Count;
                    children.Add((node, c), child);
                    tokens.Add(-1);
                }
                node = child;
            }
            tokens[node] = id;
        }
        firstCharacters = SearchValues.Create(idsByContent.Keys.Select(content => content[0]).Distinct().ToArray());
    }

    /// <summary>
    /// Finds the first added token that begins in [<paramref name="from"/>, <paramref name="end"/>). If there is none,
    /// <paramref name="start"/> is <paramref name="end"/>.
    /// </summary>
    internal bool Next(ReadOnlySpan<char> text, int from, int end, out int start, out int length, out int id)
    {
        for (start = from; start < end; start++)
        {
            int skip = text[start..end].IndexOfAny(firstCharacters);
            if (skip < 0) break;
            start += skip;
            if (Longest(text[start..], out length, out id)) return true;
        }
        start = end;
        length = 0;
        id = -1;
        return false;
    }

    private bool Longest(ReadOnlySpan<char> text, out int length, out int id)
    {
        length = 0;
        id = -1;
        int node = 0;
        for (int i = 0; i < text.Length && children.TryGetValue((node, text[i]), out node); i++)
        {
            if (tokens[node] < 0) continue;
            length = i + 1;
            id = tokens[node];
        }
        return length > 0;
    }
}
