using System.Diagnostics;

namespace LdlVk.Testing;

/// <summary>A clock that goes on when it is told to. Its timestamps count as <see cref="Stopwatch"/>'s do.</summary>
public sealed class ManualClock : TimeProvider
{
    /// <summary>The time since the clock was made.</summary>
    public TimeSpan Now { get; set; }

    /// <inheritdoc/>
    public override long GetTimestamp() => (long)(Now.TotalSeconds * Stopwatch.Frequency);
}
