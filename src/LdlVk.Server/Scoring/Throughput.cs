using System.Diagnostics;

namespace LdlVk.Server.Scoring;

/// <summary>Estimates the time of scoring from the last batches.</summary>
internal sealed class Throughput
{
    private const int Batches = 64;

    private readonly Queue<(long Tokens, long Rows, double Seconds)> _batches = new(Batches);
    private long _last;

    /// <summary>
    /// Adds a completed batch. The time of a batch that waited for the device counts from the end of the batch before it.
    /// </summary>
    public void Add(ScoringBatch batch, long begun, long ended)
    {
        if (_batches.Count == Batches) _batches.Dequeue();
        _batches.Enqueue((batch.Tokens, batch.Rows, Stopwatch.GetElapsedTime(Math.Max(begun, _last), ended).TotalSeconds));
        _last = ended;
    }

    /// <summary>Estimates the time of a number of tokens; zero before the first batch.</summary>
    public TimeSpan TimeFor(long tokens) =>
        TimeSpan.FromSeconds(_batches.Count == 0 ? 0 : tokens * _batches.Sum(b => b.Seconds) / _batches.Sum(b => b.Tokens));

    /// <summary>Estimates the time in whole seconds, from 1 (also before the first batch) to 300.</summary>
    public TimeSpan RetryAfter(long tokens) => TimeSpan.FromSeconds(Math.Clamp(Math.Ceiling(TimeFor(tokens).TotalSeconds), 1, 300));

    /// <summary>
    /// Estimates the number of rows at which the fixed cost of a batch is the given fraction of its time. The fixed cost is the time to
    /// read the weights, or to transfer them to the device. A batch of n rows takes a + b·n seconds, fitted with Tukey's resistant line:
    /// through the medians of the third of the batches with the fewest rows and of the third with the most rows. Single slow batches thus
    /// have no effect. Infinite if the batches do not determine the line.
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
