using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>
/// The rewards of a wave that the devices may still be computing. Disposing it gives them up, and waits until nothing of the wave is left
/// on a device.
/// </summary>
public sealed class PendingRewards : IDisposable
{
    private readonly WaveJob _job;

    internal PendingRewards(WaveJob job) => _job = job;

    /// <summary>Waits for the rewards; result i belongs to text i of the wave.</summary>
    /// <exception cref="DeviceException">A device failed.</exception>
    /// <exception cref="OperationCanceledException">The engine was disposed before.</exception>
    public Reward[] Finish() => _job.Wait().Rewards;

    internal (Reward[] Rewards, float[] Hidden) FinishWithHidden() => _job.Wait();

    /// <inheritdoc/>
    public void Dispose()
    {
        _job.GiveUp();
        _job.WaitUntilReleased();
    }
}
