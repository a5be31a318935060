using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;

namespace LdlVk.Runtime.Model;

/// <summary>
/// Consecutive decoder layers of a backbone on one device. Prefill only: the K and V of a layer live for that layer, and the model's last layer computes queries, attention output and MLP for the last token of
/// each text alone.
/// </summary>
internal sealed class DecoderLayers(IDevice device, BackboneConfig config, ILayerWeights weights, ITensor rope)
{
    /// <summary>
    /// Rows of gate and up at a time: at 36864 features they are the largest activations by far. A GPU needs many to be busy; on a processor
    /// 256 are as fast as any number (of the small shape's 512 tokens, 1.00 to 1.01 of the speed with all of them; 128: 0.96 with the CPU device).
    /// </summary>
    public static int FeedForwardRows(DeviceInfo device) => device.IsProcessor ? 256 : 1024;

    /// <summary>
    /// Takes micro-batches through the layers, each layer with all of them before the next: what that layer has to be on the device for.
    /// With a trace, every row goes through every layer, so that all intermediates can be compared; the result has the same bits.
    /// </summary>
    /// <param name="batches">The micro-batches of a <see cref="Wave"/>, or a run of them.</param>
    /// <param name="compute">How products are computed.</param>
    /// <param name="enter">Gives the hidden states [rows, hidden] with which batch i enters; they become this call's to change and free.</param>
    /// <param name="leave">
    /// Is shown the hidden states of batch i after the last layer, for the time of the call: of all rows, or, after the model's last layer,
    /// of the texts' last rows.
    /// </param>
    /// <param name="begun">Called when the device has been given the first layer with all batches, and so has something to do.</param>
    /// <param name="trace">Where intermediates go; null for nowhere.</param>
    public void Run(
        IReadOnlyList<MicroBatch> batches, ComputeMode compute, Func<int, ITensor> enter, Action<int, ITensor> leave, Action? begun = null, ITrace? trace = null)
    {
        var passes = new Pass?[batches.Count];
        // Equal texts share their rows, so that there may be more last rows than rows.
        int mostRows = batches.Max(b => Math.Max(b.Rows, b.Texts.Length)), gateRows = trace is null ? Math.Min(FeedForwardRows(device.Info), mostRows) : mostRows;
        using var workspace = new Workspace(device, config, mostRows, batches.Max(b => b.KeyRows), gateRows);
        try
        {
            for (int layer = weights.First; layer < weights.End; layer++)
            {
                DecoderLayer current = weights.Begin(layer);
                for (int i = 0; i < passes.Length; i++)
                {
                    Pass pass = passes[i] ??= new Pass(device, batches[i], enter(i));
                    new LayerPass(device, config, current, layer, compute, rope, workspace, trace).Run(pass);
                    if (layer < weights.End - 1) continue;
                    leave(i, pass.Residual);
                    pass.Dispose();
                    passes[i] = null;
                }

                if (layer == weights.First) begun?.Invoke();
                weights.Finish(layer);
            }
        }
        finally
        {
            foreach (Pass? pass in passes) pass?.Dispose();
        }
    }
}
