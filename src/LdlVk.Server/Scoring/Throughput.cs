using System.Diagnostics;

namespace LdlVk.Server.Scoring;

/// <summary>What scoring takes, learned from the last batches.</summary>
internal sealed class Throughput
{
    private const int Batches = 64;

    private readonly Queue<(long Tokens, long Rows, double Seconds)> _batches = new(Batches);
    private long _last;

    /// <summary>Takes a batch. What lay ready behind another counts from that one's end.</summary>
    public void Add(ScoringBatch batch, long begun, long ended)
    {
        if (_batches.Count == Batches) _batches.Dequeue();
        _batches.Enqueue((batch.Tokens, batch.Rows, Stopwatch.GetElapsedTime(Math.Max(begun, _last), ended).TotalSeconds));
        _last = ended;
    }

    /// <summary>How long so many tokens are likely to take; zero before the first batch.</summary>
    public TimeSpan TimeFor(long tokens) =>
        TimeSpan.FromSeconds(_batches.Count == 0 ? 0 : tokens * _batches.Sum(b => b.Seconds) / _batches.Sum(b => b.Tokens));

    /// <summary>The same in whole seconds, from one, which is also the guess before the first batch, to five minutes.</summary>
    public TimeSpan RetryAfter(long tokens) => TimeSpan.FromSeconds(Math.Clamp(Math.Ceiling(TimeFor(tokens).TotalSeconds), 1, 300));

    /// <summary>
    /// The rows of a batch of whose time a part is what any batch takes, however small: reading the weights, or bringing them to the
    /// device. A batch of n rows takes a + b·n seconds: Tukey's resistant line, through the medians of the third of the batches with the
    /// fewest rows and of the third with the most, so that a machine that was away for a moment, or cold, does not matter. Infinite where
    /// the batches do not tell.
    /// </summary>
    public double RowsWhereFixedCostIs(double part)
    {
        (long Tokens, long Rows, double Seconds)[] batches = [.. _batches.OrderBy(b => b.Rows)];
        int third = batches.Length / 3;
        if (third == 0) return double.PositiveInfinity;
        (double fewRows, double fewSeconds) = Medians(batches.AsSpan(..third));
        (double manyRows, double manySeconds) = Medians(batches.AsSpan(^third..));
        double b = (manySeconds - fewSeconds) / (manyRows - fewRows), a = fewSeconds - (b * fewRows);
        return b > 0 && double.IsFinite(b) ? Math.Max(a, 0) / b * (1 - part) / part : double.PositiveInfinity;
    }

    private static (double Rows, double Seconds) Medians(Span<(long Tokens, long Rows, double Seconds)> batches)
    {
        double rows = batches[batches.Length / 2].Rows;
        batches.Sort((a, b) => a.Seconds.CompareTo(b.Seconds));
        return (rows, batches[batches.Length / 2].Seconds);
    }
}
