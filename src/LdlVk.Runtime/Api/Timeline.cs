namespace LdlVk;

/// <summary>Something that took its time.</summary>
/// <param name="Track">Who did it: a stage's name.</param>
/// <param name="Name">What it was.</param>
/// <param name="Begin">When it began, as <see cref="System.Diagnostics.Stopwatch.GetTimestamp"/> counts.</param>
/// <param name="End">When it ended.</param>
public readonly record struct TimelineSpan(string Track, string Name, long Begin, long End);

/// <summary>Takes what devices did when. Called by several threads at a time.</summary>
public interface ITimeline
{
    /// <summary>Adds a span that has ended.</summary>
    void Add(in TimelineSpan span);
}
