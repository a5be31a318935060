using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model.Heads;

namespace LdlVk.Runtime.Model;

/// <summary>
/// The output of a stage for a micro-batch; the device may still be computing it. Disposing it before it is read discards it.
/// </summary>
/// <param name="Batch">The micro-batch.</param>
/// <param name="Entered">Timestamp of its entry into the stage, see <see cref="BatchState.Entered"/>.</param>
/// <param name="Rows">Number of rows of the hidden states.</param>
/// <param name="Hidden">The hidden states; null if they are not read.</param>
/// <param name="Readout">The outputs of the head's networks; null before the last stage, and for a backbone without head.</param>
internal sealed record StageOutput(MicroBatch Batch, long Entered, int Rows, IReadback? Hidden, PendingReadout? Readout) : IDisposable
{
    /// <summary>Starts reading hidden states, and computing the outputs of the head's networks from them.</summary>
    public static StageOutput Begin(IDevice device, BatchState state, bool readsHidden, RewardHead? head)
    {
        IReadback? hidden = readsHidden ? device.BeginRead(state.Residual) : null;
        try
        {
            return new StageOutput(
                state.Batch, state.Entered, state.Residual.Rows, hidden, head?.Begin(state.Residual));
        }
        catch
        {
            hidden?.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Hidden?.Dispose();
        Readout?.Dispose();
    }
}
