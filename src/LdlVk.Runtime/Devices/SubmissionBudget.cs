namespace LdlVk.Runtime.Devices;

/// <summary>
/// How much work one dispatch and one submission may hold. Drivers reset a GPU that computes for more than about 2 s (Windows), and a
/// desktop that waits for it stutters long before; but each submission costs some 20 µs. So the device's speed is learned from what it
/// has completed, and a submission holds a tenth of a second of it. How ops are cut never changes a bit of their results.
/// </summary>
/// <param name="watched">Whether a watchdog looks at the device; drivers on the processor have none.</param>
public sealed class SubmissionBudget(bool watched)
{
    /// <summary>A small share of the watchdog's 2 s, because single ops are slower than the average by some factor.</summary>
    private const double Seconds = 0.1;

    /// <summary>Before anything is known: 0.1 s on a card of 0.1 TFLOP/s, and 1 s on one ten times slower.</summary>
    private const double Initial = 1e10;

    private const double MinOperations = 1e9;

    /// <summary>Beyond this a submission's cost is below 0.1 % on any card there is (30 ms at 300 TFLOP/s).</summary>
    private const double MaxOperations = 1e13;

    /// <summary>The budget of a driver on the processor: it has no watchdog, and large pieces reuse its caches best.</summary>
    private const double Unwatched = 2e11;

    private double _operationsPerSecond;

    /// <summary>Operations of one submission, and of one dispatch where it can be split.</summary>
    public double Operations { get; private set; } = watched ? Initial : Unwatched;

    /// <summary>
    /// Learns that so many operations were completed within a time since the first of them was submitted. They may have waited in the
    /// queue, so this is never more than the device's speed, and the largest seen is the nearest to it.
    /// </summary>
    public void Completed(double operations, TimeSpan time)
    {
        if (!watched || operations <= 0 || time <= TimeSpan.Zero) return;
        _operationsPerSecond = Math.Max(_operationsPerSecond, operations / time.TotalSeconds);
        Operations = Math.Clamp(_operationsPerSecond * Seconds, MinOperations, MaxOperations);
    }
}
