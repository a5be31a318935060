namespace LdlVk.Vulkan;

/// <summary>What a command does, for pacing and for errors.</summary>
/// <param name="Op">Name of the op.</param>
/// <param name="Rows">Rows of its output.</param>
/// <param name="Columns">Columns of its output.</param>
/// <param name="Operations">Rough count of arithmetic operations, or what takes a GPU as long.</param>
internal readonly record struct Work(string Op, long Rows, long Columns, double Operations)
{
    /// <summary>
    /// What an element of an op without a matrix product costs: it moves about 12 bytes, during which a GPU does some 100 operations (10
    /// per byte on the slowest, 300 and more on the largest, which are in no danger).
    /// </summary>
    private const double OperationsPerElement = 100;

    /// <summary>An op that looks at each element of its output once or twice.</summary>
    public static Work Elementwise(string op, long rows, long columns) => new(op, rows, columns, OperationsPerElement * rows * columns);

    public override string ToString() => $"{Op} [{Rows}, {Columns}]";
}

/// <summary>
/// How much work one dispatch and one submission may hold. Drivers reset a GPU that computes for more than about 2 s (Windows), and a
/// desktop that waits for it stutters long before; but each submission costs some 20 µs. So the device's speed is learnt from what it
/// has completed, and a submission holds a tenth of a second of it. How ops are cut never changes a bit of their results.
/// </summary>
internal sealed class SubmissionBudget(bool watched)
{
    /// <summary>The share of the watchdog's 2 s is small because ops differ in speed from the average by some factor.</summary>
    private const double Seconds = 0.1;

    /// <summary>Before anything is known: 0.1 s on a card of 0.1 TFLOP/s, and 1 s on one ten times slower.</summary>
    private const double First = 1e10;

    private const double Least = 1e9;

    /// <summary>Beyond this a submission's cost is below 0.1 % on any card there is (30 ms at 300 TFLOP/s).</summary>
    private const double Most = 1e13;

    /// <summary>What a driver on the processor gets: it has no watchdog, and large pieces reuse its caches best.</summary>
    private const double Unwatched = 2e11;

    private double _operationsPerSecond;

    /// <summary>Operations of one submission, and of one dispatch where it can be split.</summary>
    public double Operations { get; private set; } = watched ? First : Unwatched;

    /// <summary>
    /// Learns that so many operations were completed within a time since the first of them was submitted. They may have waited in the
    /// queue, so this is never more than the device's speed, and the largest seen is the nearest to it.
    /// </summary>
    public void Completed(double operations, TimeSpan time)
    {
        if (!watched || operations <= 0 || time <= TimeSpan.Zero) return;
        _operationsPerSecond = Math.Max(_operationsPerSecond, operations / time.TotalSeconds);
        Operations = Math.Clamp(_operationsPerSecond * Seconds, Least, Most);
    }
}
