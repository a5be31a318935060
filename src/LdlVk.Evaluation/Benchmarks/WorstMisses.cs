namespace LdlVk.Evaluation.Benchmarks;

/// <summary>Keeps the texts of the worst misses among any number of lines.</summary>
public sealed class WorstMisses
{
    /// <summary>Maximum number of misses that are kept.</summary>
    public const int MaxMisses = 20;

    /// <summary>Maximum number of characters kept per text.</summary>
    private const int MaxCharacters = 4000;

    private readonly PriorityQueue<Miss, double> _misses = new();

    /// <summary>The misses, the worst first.</summary>
    public IReadOnlyList<Miss> Misses => [.. _misses.UnorderedItems.OrderByDescending(m => m.Priority).Select(m => m.Element)];

    /// <summary>Adds a line, which is kept if it is among the worst misses.</summary>
    public void Add(Example example, PairLine line)
    {
        if (example.IsRight) return;
        // The queue drops the lowest priority: the miss with the smallest margin.
        double badness = -example.Margin;
        if (_misses.Count == MaxMisses && _misses.TryPeek(out _, out double least) && badness <= least) return;
        IReadOnlyList<Conversation> texts = line.Texts.Item.Conversations;
        int chosen = Array.IndexOf(example.Chosen, example.Chosen.Min()),
            rejected = Array.IndexOf(example.Rejected, example.Rejected.Max());
        if (example.IsPaired) chosen = rejected = Array.IndexOf([.. example.PairMargins], example.Margin);
        Conversation good = texts[chosen], bad = texts[example.Chosen.Length + rejected];
        Miss miss = new(example, Cut(Prompt(good)), Cut(good.Messages[^1].Content), Cut(bad.Messages[^1].Content))
        {
            ChosenScore = example.Chosen[chosen], RejectedScore = example.Rejected[rejected],
        };
        _misses.Enqueue(miss, badness);
        if (_misses.Count > MaxMisses) _misses.Dequeue();
    }

    private static string Prompt(Conversation conversation)
    {
        Message[] before = [.. conversation.Messages.SkipLast(1)];
        return before.Length == 1 ? before[0].Content : string.Join("\n\n", before.Select(m => $"{m.Role}: {m.Content}"));
    }

    private static string Cut(string text)
    {
        if (text.Length <= MaxCharacters) return text;
        int end = char.IsHighSurrogate(text[MaxCharacters - 1]) ? MaxCharacters - 1 : MaxCharacters;
        return $"{text.AsSpan(0, end)}… ({text.Length - end} more characters)";
    }
}
