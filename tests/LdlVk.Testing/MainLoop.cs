using System.Globalization;
using System.Text.RegularExpressions;

namespace LdlVk.Testing;

/// <summary>
/// The loop of a compiled kernel that holds most of its products on matrix units, read from the assembly that Mesa's drivers for AMD,
/// NVIDIA and Intel give out. A loop is what can reach a jump back without passing the loop's head again, so code after the loop does not count,
/// wherever the compiler puts it.
/// </summary>
/// <param name="Instructions">Its instructions.</param>
/// <param name="Products">Those that multiply matrices.</param>
/// <param name="SharedLoads">Those that load from shared memory.</param>
/// <param name="SharedWaits">Waits for shared memory; on NVIDIA's cards 0, as <paramref name="Waits"/> holds all.</param>
/// <param name="Waits">All waits for memory or for other units.</param>
/// <param name="LargestBlock">Instructions of the largest block with products and without jumps.</param>
public sealed partial record MainLoop(int Instructions, int Products, int SharedLoads, int SharedWaits, int Waits, int LargestBlock)
{
    /// <summary>The main loop in a driver's representation of a kernel; null where it shows no loop with products.</summary>
    public static MainLoop? Of(string representation)
    {
        List<Block> blocks = representation.Contains("=== NAK assembly", StringComparison.Ordinal) ? NvidiaBlocks(representation)
            : representation.Contains("=== GEN Assembly", StringComparison.Ordinal) ? IntelBlocks(representation)
            : representation.Contains("=== Assembly", StringComparison.Ordinal) ? AmdBlocks(representation) : [];
        return LoopsOf(blocks).Select(Summary).Where(l => l.Products > 0).MaxBy(l => (l.Products, l.Instructions));
    }

    private sealed record Block(List<string> Instructions, List<int> Successors);

    private static MainLoop Summary(IReadOnlyCollection<Block> loop)
    {
        string[] all = [.. loop.SelectMany(b => b.Instructions)];
        return new MainLoop(all.Length, all.Count(IsProduct), all.Count(i => SharedLoad().IsMatch(i)), all.Count(i => SharedWait().IsMatch(i)),
            all.Count(i => Wait().IsMatch(i)), loop.Max(b => b.Instructions.Any(IsProduct) ? b.Instructions.Count : 0));
    }

    private static bool IsProduct(string instruction) => Product().IsMatch(instruction);

    /// <summary>The blocks of each loop: of those with the same head together.</summary>
    private static IEnumerable<Block[]> LoopsOf(List<Block> blocks)
    {
        var before = Enumerable.Range(0, blocks.Count).Select(_ => new List<int>()).ToArray();
        for (int b = 0; b < blocks.Count; b++)
            foreach (int next in blocks[b].Successors) before[next].Add(b);
        for (int head = 0; head < blocks.Count; head++)
        {
            // Both compilers write a loop's head before its body.
            int[] back = [.. before[head].Where(b => b >= head)];
            if (back.Length == 0) continue;
            HashSet<int> loop = [head];
            Stack<int> open = new(back);
            while (open.TryPop(out int b))
                if (loop.Add(b))
                    foreach (int previous in before[b]) open.Push(previous);
            yield return [.. loop.Order().Select(b => blocks[b])];
        }
    }

    private static List<Block> AmdBlocks(string representation)
    {
        List<(string Name, List<string> Lines)> named = [];
        foreach (string line in representation[representation.IndexOf("=== Assembly", StringComparison.Ordinal)..].Split('\n'))
        {
            if (AmdBlock().Match(line) is { Success: true } start) named.Add((start.Groups[1].Value, []));
            else if (named.Count > 0 && AmdInstruction().IsMatch(line)) named[^1].Lines.Add(line);
        }

        Dictionary<string, int> places = named.Index().ToDictionary(b => b.Item.Name, b => b.Index);
        return [.. named.Select((block, place) =>
        {
            List<int> next = [.. block.Lines.Select(l => AmdJump().Match(l)).Where(m => m.Success && places.ContainsKey(m.Groups[1].Value)).Select(m => places[m.Groups[1].Value])];
            bool falls = block.Lines.Count == 0 || !AmdEnd().IsMatch(block.Lines[^1]);
            if (falls && place + 1 < named.Count) next.Add(place + 1);
            return new Block(block.Lines, next);
        })];
    }

    private static List<Block> NvidiaBlocks(string representation)
    {
        List<Block> blocks = [];
        foreach (string line in representation[representation.IndexOf("=== NAK assembly", StringComparison.Ordinal)..].Split('\n'))
        {
            if (NvidiaBlock().IsMatch(line)) blocks.Add(new Block([], []));
            else if (blocks.Count == 0) continue;
            else if (line.StartsWith("} ->", StringComparison.Ordinal))
                blocks[^1].Successors.AddRange(Number().Matches(line).Select(m => int.Parse(m.Value, CultureInfo.InvariantCulture)));
            else if (line.StartsWith(' ')) blocks[^1].Instructions.Add(line);
        }

        return blocks;
    }

    /// <summary>Blocks end before a label and behind a jump. Every jump is as if it had a condition: that adds no way back.</summary>
    private static List<Block> IntelBlocks(string representation)
    {
        List<Block> blocks = [new Block([], [])];
        Dictionary<string, int> places = [];
        foreach (string line in representation[representation.IndexOf("=== GEN Assembly", StringComparison.Ordinal)..].Split('\n').Skip(1))
        {
            bool label = IntelLabel().Match(line) is { Success: true } start && places.TryAdd(start.Groups[1].Value, blocks.Count);
            if (label || (blocks[^1].Instructions is [.., var last] && IntelJump().IsMatch(last))) blocks.Add(new Block([], []));
            if (!label && IntelInstruction().IsMatch(line)) blocks[^1].Instructions.Add(line);
        }

        foreach ((int place, Block block) in blocks.Index())
        {
            if (place + 1 < blocks.Count) block.Successors.Add(place + 1);
            if (block.Instructions is [.., var last])
                block.Successors.AddRange(IntelTarget().Matches(last).Select(m => m.Groups[1].Value).Where(places.ContainsKey).Select(l => places[l]));
        }

        return blocks;
    }

    [GeneratedRegex(@"\bv_s?wmma|\b[hi]mma\.|\bdpas\.")]
    private static partial Regex Product();

    [GeneratedRegex(@"^\s*ds_(load|read)|= *ldsm?\b|load\.slm")]
    private static partial Regex SharedLoad();

    [GeneratedRegex(@"^\s*s_wait\S*.*(lgkmcnt|dscnt)")]
    private static partial Regex SharedWait();

    [GeneratedRegex(@"^\s*s_wait(cnt(_vscnt)?|_\w*cnt(_\w*cnt)?)\s|\bwt=|\bsync\.|\$\d+\.(dst|src)")]
    private static partial Regex Wait();

    [GeneratedRegex(@"^(BB\d+):")]
    private static partial Regex AmdBlock();

    [GeneratedRegex(@"^\s+[a-z]")]
    private static partial Regex AmdInstruction();

    [GeneratedRegex(@"^\s+s_c?branch\w* +(BB\d+)")]
    private static partial Regex AmdJump();

    [GeneratedRegex(@"^\s+s_(branch|endpgm)")]
    private static partial Regex AmdEnd();

    [GeneratedRegex(@"^block\S* \d+ ")]
    private static partial Regex NvidiaBlock();

    [GeneratedRegex(@"\d+")]
    private static partial Regex Number();

    [GeneratedRegex(@"^(L(?:ABEL)?\d+):")]
    private static partial Regex IntelLabel();

    [GeneratedRegex(@"^(\(\S+\))? *[a-z]")]
    private static partial Regex IntelInstruction();

    [GeneratedRegex(@"^(\(\S+\))? *(if|else|endif|while|break|cont|goto|join|jmpi|halt)\b")]
    private static partial Regex IntelJump();

    [GeneratedRegex(@"\b(L(?:ABEL)?\d+)\b")]
    private static partial Regex IntelTarget();
}
