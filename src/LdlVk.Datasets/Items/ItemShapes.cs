using LdlVk.Runtime.Formatting;

namespace LdlVk.Datasets.Items;

/// <summary>Counts what the lines of an input were read as, and what may be wrong with them.</summary>
public sealed class ItemShapes
{
    /// <summary>Maximum number of different shapes and doubts that are named.</summary>
    private const int MaxNamed = 4;

    private readonly Dictionary<string, long> _shapes = new(StringComparer.Ordinal), _doubts = new(StringComparer.Ordinal);

    /// <summary>Counts an item; one that was not read from fields is not counted.</summary>
    public void Add(Item item)
    {
        ArgumentNullException.ThrowIfNull(item);
        Count(_shapes, item.Shape);
        Count(_doubts, item.Doubt);
    }

    /// <summary>Says what the lines were read as, the most frequent first; empty if nothing was counted.</summary>
    public IEnumerable<string> Read() => Sentences(_shapes, (count, shape) => $"{Readable.Plural(count, "line")} read as {shape}");

    /// <summary>Says what may be wrong, with the number of lines; empty if nothing is.</summary>
    public IEnumerable<string> Doubts() => Sentences(_doubts, (count, doubt) => $"{Readable.Plural(count, "line")}: {doubt}");

    private static void Count(Dictionary<string, long> counts, string? key)
    {
        // The names of fields come from the input: a hostile one must not fill the memory.
        if (key is not { Length: > 0 and < 500 } || (counts.Count >= 1000 && !counts.ContainsKey(key))) return;
        counts[key] = counts.GetValueOrDefault(key) + 1;
    }

    private static IEnumerable<string> Sentences(Dictionary<string, long> counts, Func<long, string, string> word)
    {
        foreach ((string key, long count) in counts.OrderByDescending(c => c.Value).Take(MaxNamed)) yield return word(count, key);
        if (counts.Count > MaxNamed) yield return $"… and {counts.Count - MaxNamed} more forms";
    }
}
