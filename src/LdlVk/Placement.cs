using LdlVk.Runtime;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;

namespace LdlVk;

/// <summary>Which device a model goes to, and in which format.</summary>
internal static class Placement
{
    /// <summary>The first candidate of <see cref="RewardModelOptions.Device"/> that the model fits on.</summary>
    /// <exception cref="DeviceException">It fits on none; the message is about the best candidate.</exception>
    public static (DeviceInfo Device, WeightFormat Weights) Choose(Checkpoint checkpoint, RewardModelOptions options)
    {
        DeviceException? first = null;
        foreach (DeviceInfo device in ComputeDevices.Candidates(options.Device))
        {
            try
            {
                return (device, options.Weights ?? ModelMemory.Choose(checkpoint, device, options.Heads, options.BatchTokensFor(device)));
            }
            catch (DeviceException e)
            {
                first ??= e;
            }
        }

        throw first!;
    }
}
