using System.Globalization;

namespace LdlVk.Cli.Output;

/// <summary>Estimates the remaining time of a task from its progress so far. Thread-safe.</summary>
/// <param name="time">The clock; the system's by default.</param>
internal sealed class TimeLeft(TimeProvider? time = null)
{
    /// <summary>Minimum measuring time; earlier estimates would be inaccurate.</summary>
    private static readonly TimeSpan MinElapsed = TimeSpan.FromSeconds(2);

    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly Lock _gate = new();
    private long _began;
    private double? _first, _now;

    /// <summary>Starts measuring.</summary>
    public void Begin()
    {
        lock (_gate) (_began, _first, _now) = (_time.GetTimestamp(), null, null);
    }

    /// <summary>Reports the completion of a step.</summary>
    /// <param name="share">Completed share of the task, 0 to 1; null if unknown.</param>
    public void Done(double? share)
    {
        lock (_gate)
        {
            // The starting point: the end of an earlier run, or the first step. Work before it took none of this time.
            _first ??= share;
            _now = share;
        }
    }

    /// <summary>Returns text such as <c>, 12 % done, 3 min left</c>; empty while there is no estimate.</summary>
    public override string ToString()
    {
        lock (_gate)
        {
            if (_now is not { } now
                || _first is not { } first
                || now <= first
                || (_time.GetElapsedTime(_began) is var elapsed && elapsed < MinElapsed))
                return "";
            TimeSpan left = elapsed * Math.Min(1e6, (1 - now) / (now - first));
            return string.Create(CultureInfo.InvariantCulture, $", {Math.Floor(now * 100):F0} % done, {Describe(left)} left");
        }
    }

    /// <summary>Formats a time: <c>45 s</c>, <c>12 min</c>, <c>3 h 20 min</c>, <c>2 d 5 h</c>.</summary>
    internal static string Describe(TimeSpan time) => FormattableString.Invariant(time switch
    {
        { TotalSeconds: < 90 } => (FormattableString)$"{Math.Ceiling(time.TotalSeconds):F0} s",
        { TotalMinutes: < 90 } => $"{Math.Round(time.TotalMinutes):F0} min",
        { TotalHours: < 36 } => $"{Math.Floor(time.TotalHours):F0} h {time.Minutes} min",
        _ => $"{Math.Floor(time.TotalDays):F0} d {time.Hours} h",
    });
}
