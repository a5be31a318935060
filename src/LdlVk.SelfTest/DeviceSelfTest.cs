using System.Diagnostics;
using LdlVk.Runtime.Devices;

namespace LdlVk.SelfTest;

/// <summary>
/// Checks a device: every op against its formula, and that a row's bits do not depend on its batch, nor on where weights lie.
/// </summary>
public static class DeviceSelfTest
{
    /// <summary>How the fault of a check begins that does not end.</summary>
    public const string DoesNotEnd = "it did not end within";

    /// <summary>Compiling a check's kernels takes seconds, and so does a system until it takes a hanging GPU from its process.</summary>
    private static readonly TimeSpan UsualLimit = TimeSpan.FromMinutes(2);

    /// <summary>Runs the checks, one after the other.</summary>
    /// <param name="device">The device; it must not be in use.</param>
    /// <param name="quick">Only those that find a wrong kernel, and not the corners of right ones.</param>
    /// <param name="untilFault">Whether to end with the first fault.</param>
    /// <param name="progress">Told of each result.</param>
    /// <param name="limit">How long a check may take; two minutes unless given.</param>
    /// <param name="cancellationToken">Ends it between two checks.</param>
    /// <returns>
    /// The results. A check that the driver failed has the failure as its fault; a lost device ends the run, and so does one that hangs
    /// (<see cref="CheckResult.Hangs"/>).
    /// </returns>
    /// <exception cref="DeviceException">There is not enough memory, which says nothing about the kernels.</exception>
    public static IReadOnlyList<CheckResult> Run(
        IDevice device, bool quick, bool untilFault = false, IProgress<CheckResult>? progress = null,
        TimeSpan? limit = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(device);
        IEnumerable<OpCheck> checks = SelfTestChecks.All(device.Info, quick)
            .Concat(TilingChecks.For(device, quick)).Concat(StreamingChecks.For(device, quick));
        return RunAll(device, checks, untilFault, progress, limit, cancellationToken);
    }

    /// <summary>
    /// Checks products with sums in fp16 (<see cref="SumFormat.Fp16"/>) alone until one fails: the quick self-test leaves them out. They
    /// take a fraction of a second on a graphics card.
    /// </summary>
    /// <param name="device">The device; it must not be in use.</param>
    /// <param name="cancellationToken">Ends it between two checks.</param>
    /// <returns>The results, as of <see cref="Run"/>; none where the device has no such sums.</returns>
    /// <exception cref="DeviceException">There is not enough memory, which says nothing about the kernels.</exception>
    public static IReadOnlyList<CheckResult> HalfSums(IDevice device, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(device);
        return RunAll(device, HalfSumChecks.For(device.Info, quick: true), untilFault: true, null, null, cancellationToken);
    }

    /// <summary>Closes a device that was checked, unless it hangs: closing would wait, so it is left to the end of the process.</summary>
    /// <param name="device">The device.</param>
    /// <param name="results">What was found.</param>
    public static void Close(IDevice device, IReadOnlyList<CheckResult> results)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (results is not [.., { Hangs: true }]) device.Dispose();
    }

    private static IReadOnlyList<CheckResult> RunAll(
        IDevice device, IEnumerable<OpCheck> checks, bool untilFault, IProgress<CheckResult>? progress, TimeSpan? limit,
        CancellationToken cancellationToken)
    {
        List<CheckResult> results = [];
        foreach (OpCheck check in checks)
        {
            cancellationToken.ThrowIfCancellationRequested();
            (CheckResult result, bool lost) = Timed(check, device, limit ?? UsualLimit);
            results.Add(result);
            progress?.Report(result);
            if (lost || (untilFault && result.Fault is not null)) break;
        }

        return results;
    }

    private static (CheckResult Result, bool Lost) Timed(OpCheck check, IDevice device, TimeSpan limit)
    {
        long start = Stopwatch.GetTimestamp();
        Task<(double, string?, bool)> run = Task.Factory.StartNew(() => RunOne(check, device), TaskCreationOptions.LongRunning);
        bool hangs = Task.WaitAny([run], limit) < 0;
        (double worst, string? fault, bool lost) = hangs
            ? (0, $"{DoesNotEnd} {limit.TotalSeconds:F0} s", true) : run.GetAwaiter().GetResult();
        return (new CheckResult(check.Op, check.Variant, Stopwatch.GetElapsedTime(start).TotalSeconds, worst, fault, hangs), lost);
    }

    private static (double Worst, string? Fault, bool Lost) RunOne(OpCheck check, IDevice device)
    {
        try
        {
            using Operands operands = new(device);
            (double worst, string? fault) = check.Run(operands);
            return (worst, fault, false);
        }
        catch (DeviceException e) when (e.Failure != DeviceFailure.OutOfMemory)
        {
            return (0, e.Message, e.Failure == DeviceFailure.Lost);
        }
    }
}
