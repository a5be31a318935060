using System.Diagnostics;
using LdlVk.Runtime.Devices;

namespace LdlVk.SelfTest;

/// <summary>
/// Checks a device: every op against its formula, and that a row's bits do not depend on its batch, nor on where weights lie.
/// </summary>
public static class DeviceSelfTest
{
    /// <summary>Runs the checks, one after the other.</summary>
    /// <param name="device">The device; it must not be in use.</param>
    /// <param name="quick">Only those that find a wrong kernel, and not the corners of right ones.</param>
    /// <param name="untilFault">Whether to end with the first fault.</param>
    /// <param name="progress">Told of each result.</param>
    /// <param name="cancellationToken">Ends it between two checks.</param>
    /// <returns>The results. A check that the driver failed has the failure as its fault; a lost device ends the run.</returns>
    /// <exception cref="DeviceException">There is not enough memory, which says nothing about the kernels.</exception>
    public static IReadOnlyList<CheckResult> Run(
        IDevice device, bool quick, bool untilFault = false, IProgress<CheckResult>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(device);
        List<CheckResult> results = [];
        foreach (OpCheck check in SelfTestChecks.All(device.Info, quick)
            .Concat(TilingChecks.For(device, quick)).Concat(StreamingChecks.For(device, quick)))
        {
            cancellationToken.ThrowIfCancellationRequested();
            long start = Stopwatch.GetTimestamp();
            double worst = 0;
            string? fault;
            bool lost = false;
            try
            {
                using Operands operands = new(device);
                (worst, fault) = check.Run(operands);
            }
            catch (DeviceException e) when (e.Failure != DeviceFailure.OutOfMemory)
            {
                (fault, lost) = (e.Message, e.Failure == DeviceFailure.Lost);
            }

            CheckResult result = new(check.Op, check.Variant, Stopwatch.GetElapsedTime(start).TotalSeconds, worst, fault);
            results.Add(result);
            progress?.Report(result);
            if (lost || (untilFault && fault is not null)) break;
        }

        return results;
    }
}
