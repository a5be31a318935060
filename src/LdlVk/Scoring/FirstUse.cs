using System.Diagnostics;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;

namespace LdlVk.Scoring;

/// <summary>
/// The short look for fast tiles when a model first meets a device and a version of its driver; <c>ldlvk tune</c> looks longer. It changes
/// speed, never a score.
/// </summary>
internal static class FirstUse
{
    /// <summary>Nobody should have to wait for it: loading a model takes as long and longer.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(1.5);

    /// <summary>
    /// Opens a device and, unless choices for the model are kept from before, makes them. Software drivers are left alone.
    /// </summary>
    /// <param name="open">Opens it.</param>
    /// <param name="config">The model.</param>
    /// <param name="plan">The format of its weights, and the tokens of a micro-batch.</param>
    /// <param name="stage">The part of the plan that the device has.</param>
    /// <param name="compute">How products are computed.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>The device, and what to tell the user; null where nothing was done.</returns>
    public static (IDevice Device, Notice? Note) Open(
        Func<IDevice> open, BackboneConfig config, ExecutionPlan plan, StagePlan stage, ComputeMode compute,
        CancellationToken cancellationToken)
    {
        IDevice device = open();
        try
        {
            if (device is not ITunableDevice tunable || device.Info.IsProcessor) return (device, null);
            IReadOnlyList<LinearProduct> untuned =
                tunable.Untuned(LayerProducts.Of(config, plan, stage, [64, 512, plan.BatchTokens], compute));
            long start = Stopwatch.GetTimestamp();
            if (untuned.Count == 0 || !tunable.Tune(untuned, Limit, null, cancellationToken)) return (device, null);
            int left = tunable.Untuned(untuned).Count;
            return (device,
                $"looked for the fastest tiles of {untuned.Count - left} of this model's products on {device.Info.Id} "
                    + $"({device.Info.Name}) for {Stopwatch.GetElapsedTime(start).TotalSeconds:F1} s, once for this driver"
                    + $"{(left == 0 ? "" : $"; {left} more at the next starts")}. ldlvk tune looks at all, "
                    + $"{OptionName.Tune.Of("false")} leaves it out; scores are the same.");
        }
        catch (DeviceException)
        {
            // Choices were kept before anything was tried, so a device that fell over one of them is not asked again.
            device.Dispose();
            return (open(), null);
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }
}
