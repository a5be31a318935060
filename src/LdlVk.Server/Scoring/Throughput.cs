using System.Diagnostics;

namespace LdlVk.Server.Scoring;

/// <summary>How many tokens a second are scored, as a mean over the last batches; from it comes what <c>Retry-After</c> says.</summary>
internal sealed class Throughput
{
    private const double Weight = 0.2; // of the newest batch

    private double _tokens, _seconds;
    private long _last;

    /// <summary>Takes a batch. What lay ready behind another counts from that one's end.</summary>
    public void Add(long tokens, long begun, long ended)
    {
        double seconds = Stopwatch.GetElapsedTime(Math.Max(begun, _last), ended).TotalSeconds;
        _last = ended;
        _tokens += Weight * (tokens - _tokens);
        _seconds += Weight * (seconds - _seconds);
    }

    /// <summary>How long so many tokens are likely to take; zero before the first batch.</summary>
    public TimeSpan TimeFor(long tokens) => TimeSpan.FromSeconds(_tokens <= 0 ? 0 : tokens * _seconds / _tokens);

    /// <summary>The same in whole seconds, from one, which is also the guess before the first batch, to five minutes.</summary>
    public TimeSpan RetryAfter(long tokens) => TimeSpan.FromSeconds(Math.Clamp(Math.Ceiling(TimeFor(tokens).TotalSeconds), 1, 300));
}
