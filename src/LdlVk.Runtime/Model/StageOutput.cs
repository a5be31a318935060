using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model.Heads;

namespace LdlVk.Runtime.Model;

/// <summary>
/// What a micro-batch leaves a stage with; the device may still be computing it. Disposing it before it is read gives it up.
/// </summary>
/// <param name="Batch">The micro-batch.</param>
/// <param name="Entered">When it entered the stage, see <see cref="BatchState.Entered"/>.</param>
/// <param name="Rows">Rows of the hidden states.</param>
/// <param name="Hidden">The hidden states; null where nobody reads them.</param>
/// <param name="Readout">The rewards; null before the last stage, and of a backbone alone.</param>
internal sealed record StageOutput(MicroBatch Batch, long Entered, int Rows, IReadback? Hidden, PendingReadout? Readout) : IDisposable
{
    /// <summary>Begins to read hidden states, and to compute the head's rewards of them.</summary>
    public static StageOutput Begin(IDevice device, BatchState state, bool readsHidden, RewardHead? head)
    {
        IReadback? hidden = readsHidden ? device.BeginRead(state.Residual) : null;
        try
        {
            return new StageOutput(
                state.Batch, state.Entered, state.Residual.Rows, hidden, head?.Begin(state.Residual, [.. state.Batch.TokenCounts]));
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
