using LdlVk.Runtime.Text;

namespace LdlVk.Evaluation.Benchmarks;

/// <summary>A line that the model has the wrong way round, with its texts.</summary>
/// <param name="Example">Its scores.</param>
/// <param name="Prompt">What was asked; of a longer conversation all turns.</param>
/// <param name="Chosen">The chosen response with the lowest score.</param>
/// <param name="Rejected">The rejected response with the highest score.</param>
internal sealed record Miss(Example Example, string Prompt, string Chosen, string Rejected);

/// <summary>Keeps the worst misses of any number of lines, and no other texts.</summary>
internal sealed class WorstMisses
{
    /// <summary>How many are kept.</summary>
    public const int Most = 20;

    /// <summary>Characters kept of a text.</summary>
    private const int Longest = 4000;

    private readonly PriorityQueue<Miss, double> _misses = new();

    /// <summary>The worst first.</summary>
    public IReadOnlyList<Miss> Misses => [.. _misses.UnorderedItems.OrderByDescending(m => m.Priority).Select(m => m.Element)];

    /// <summary>Looks at a line.</summary>
    public void Add(Example example, PairLine line)
    {
        if (example.IsRight) return;
        // The queue gives up its least priority: the miss by the least margin.
        double badness = -example.Margin;
        if (_misses.Count == Most && _misses.TryPeek(out _, out double least) && badness <= least) return;
        IReadOnlyList<Conversation> texts = line.Texts.Item.Conversations;
        int chosen = Array.IndexOf(example.Chosen, example.Chosen.Min()), rejected = Array.IndexOf(example.Rejected, example.Rejected.Max());
        Conversation good = texts[chosen], bad = texts[example.Chosen.Length + rejected];
        _misses.Enqueue(new Miss(example, Cut(Prompt(good)), Cut(good.Messages[^1].Content), Cut(bad.Messages[^1].Content)), badness);
        if (_misses.Count > Most) _misses.Dequeue();
    }

    private static string Prompt(Conversation conversation)
    {
        Message[] before = [.. conversation.Messages.SkipLast(1)];
        return before.Length == 1 ? before[0].Content : string.Join("\n\n", before.Select(m => $"{m.Role}: {m.Content}"));
    }

    private static string Cut(string text)
    {
        if (text.Length <= Longest) return text;
        int end = char.IsHighSurrogate(text[Longest - 1]) ? Longest - 1 : Longest;
        return $"{text.AsSpan(0, end)}… ({text.Length - end} more characters)";
    }
}
