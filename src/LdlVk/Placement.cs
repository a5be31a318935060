using LdlVk.Runtime;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;

namespace LdlVk;

/// <summary>Which device a model goes to, and in which format.</summary>
internal static class Placement
{
    /// <summary>
    /// The first candidate of <see cref="RewardModelOptions.Device"/> that the model fits on. A device and a format that are both named are
    /// taken at their word: the count of what fits is an estimate.
    /// </summary>
    /// <exception cref="UsageException">The weights cannot be computed with as the options say.</exception>
    /// <exception cref="DeviceException">It fits on none; the message is about the best candidate.</exception>
    public static (DeviceInfo Device, WeightFormat Weights) Choose(Checkpoint checkpoint, RewardModelOptions options)
    {
        if (options.Weights is { } wanted) ModelMemory.CheckCompute(options.Compute, wanted);
        IReadOnlyList<DeviceInfo> candidates = ComputeDevices.Candidates(options.Device);
        if (options.Weights is { } named && candidates.Count == 1) return (candidates[0], named);
        DeviceException? first = null;
        foreach (DeviceInfo device in candidates)
        {
            try
            {
                int batchTokens = options.BatchTokens;
                return (device, options.Weights is { } format
                    ? ModelMemory.Require(checkpoint, device, format, options.Heads, batchTokens, options.Compute)
                    : ModelMemory.Choose(checkpoint, device, options.Heads, batchTokens, options.Compute));
            }
            catch (DeviceException e)
            {
                first ??= e;
            }
        }

        throw first!;
    }
}
