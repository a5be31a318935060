using System.Diagnostics;
using System.Text.RegularExpressions;

namespace LdlVk.Runtime.Checkpoints.Adapters;

/// <summary>
/// Matches the patterns of an adapter, for a limited time in all: each match has a limit of its own (<see cref="AdapterPattern"/>), but a
/// hostile adapter may have many patterns and modules. Thread-safe.
/// </summary>
/// <param name="most">The limit.</param>
internal sealed class PatternTime(TimeSpan most)
{
    private long _ticks;

    /// <summary>Creates a limit that no adapter for a real model comes near.</summary>
    public PatternTime() : this(TimeSpan.FromSeconds(10))
    {
    }

    /// <summary>Matches a name.</summary>
    /// <exception cref="CheckpointException">It takes too long.</exception>
    public bool Matches(Regex pattern, string name)
    {
        RegexMatchTimeoutException? timeout = null;
        long begun = Stopwatch.GetTimestamp();
        try
        {
            bool matches = pattern.IsMatch(name);
            if (Interlocked.Add(ref _ticks, Stopwatch.GetElapsedTime(begun).Ticks) < most.Ticks) return matches;
        }
        catch (RegexMatchTimeoutException e)
        {
            timeout = e;
        }

        throw new CheckpointException(
            $"A pattern of {AdapterConfig.FileName} takes too long to match {Shown.Short(name)}. {OtherFolder.Merge}", timeout);
    }
}
