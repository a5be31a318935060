using System.Globalization;

namespace LdlVk.Cli.Output;

/// <summary>How much of a work is done and how long the rest will take, if it goes on as it did. Thread-safe.</summary>
/// <param name="time">The clock; the system's by default.</param>
internal sealed class TimeLeft(TimeProvider? time = null)
{
    /// <summary>Before that, what was measured says little.</summary>
    private static readonly TimeSpan Least = TimeSpan.FromSeconds(2);

    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly Lock _gate = new();
    private long _began;
    private double? _first, _now;

    /// <summary>Begins to measure.</summary>
    public void Begin()
    {
        lock (_gate) (_began, _first, _now) = (_time.GetTimestamp(), null, null);
    }

    /// <summary>A step was done.</summary>
    /// <param name="share">Share of all that is done with it, 0 to 1; null where that is not known.</param>
    public void Done(double? share)
    {
        lock (_gate)
        {
            // Where an earlier run ended, or the first step: what came before took none of this time.
            _first ??= share;
            _now = share;
        }
    }

    /// <summary><c>, 12 % done, 3 min left</c>, or nothing while that is not known.</summary>
    public override string ToString()
    {
        lock (_gate)
        {
            if (_now is not { } now
                || _first is not { } first
                || now <= first
                || (_time.GetElapsedTime(_began) is var elapsed && elapsed < Least))
                return "";
            TimeSpan left = elapsed * Math.Min(1e6, (1 - now) / (now - first));
            return string.Create(CultureInfo.InvariantCulture, $", {Math.Floor(now * 100):F0} % done, {Describe(left)} left");
        }
    }

    /// <summary>A time as people say it: <c>45 s</c>, <c>12 min</c>, <c>3 h 20 min</c>, <c>2 d 5 h</c>.</summary>
    internal static string Describe(TimeSpan time) => FormattableString.Invariant(time switch
    {
        { TotalSeconds: < 90 } => (FormattableString)$"{Math.Ceiling(time.TotalSeconds):F0} s",
        { TotalMinutes: < 90 } => $"{Math.Round(time.TotalMinutes):F0} min",
        { TotalHours: < 36 } => $"{Math.Floor(time.TotalHours):F0} h {time.Minutes} min",
        _ => $"{Math.Floor(time.TotalDays):F0} d {time.Hours} h",
    });
}
