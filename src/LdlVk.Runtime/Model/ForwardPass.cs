using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>
/// The forward pass: embed → layers → final norm → head. Prefill only: no token is generated, so K and V of a layer live for that
/// layer. <para>
/// A model on one device takes all four steps. In a model divided over several devices, each takes the steps for its part of the weights:
/// a later stage receives the hidden states of the stage before instead of embedding, and an earlier stage hands its hidden states over
/// instead of the final norm and the head.
/// </para>
/// <para>
/// Each step takes one micro-batch at a time from the step before, so the head of a micro-batch is queued before the next micro-batch has
/// left the last layer. Ops are only queued here; <see cref="StageOutput"/> holds what is read later.
/// </para>
/// </summary>
/// <param name="stage">The part of the model on one device.</param>
/// <param name="batches">Micro-batches of a <see cref="Wave"/>, in order.</param>
/// <param name="options">How products are computed, and what is recorded.</param>
/// <param name="link">The neighboring stages, and the limit to what is queued on the device.</param>
/// <param name="cache">The keys and values that the stage keeps of texts before; null for none.</param>
internal sealed class ForwardPass(
    StageWeights stage, IReadOnlyList<MicroBatch> batches, ForwardOptions options, IStageLink link, StageCache? cache)
{
    private readonly IDevice _device = stage.Device;
    private readonly BackboneConfig _config = stage.Config;
    private readonly ITrace? _trace = options.Trace;

    /// <summary>Queues the micro-batches as the result is enumerated; it has one output for each, in their order.</summary>
    public IEnumerable<StageOutput> Run()
    {
        IEnumerable<BatchState> states = batches.Select(batch => stage.IsFirst ? Embed(batch) : Receive(batch));
        states = Layers(states);
        return stage.IsLast ? states.Select(FinalNorm).Select(Head) : states.Select(HandOver);
    }

    /// <summary>residual[row] = embedding[token of the row] · factor.</summary>
    private BatchState Embed(MicroBatch batch)
    {
        link.WaitForInput();
        return BatchState.Create(_device, batch, _config.HiddenSize, cache, residual =>
        {
            stage.Embedding!.Write(_device, residual, batch.TokenIds);
            _trace?.Record("residual.embedding", _device, residual);
        });
    }

    /// <summary>residual = what the stage before handed over.</summary>
    private BatchState Receive(MicroBatch batch)
    {
        link.WaitForInput();
        return BatchState.Create(_device, batch, _config.HiddenSize, cache, link.Receive);
    }

    /// <summary>
    /// Each layer with all micro-batches before the next layer: a streamed layer comes to the device once for all of them, and a prefix
    /// computed by one micro-batch can be used by the next. The model's last layer keeps only the rows that the head reads, unless traced.
    /// </summary>
    private IEnumerable<BatchState> Layers(IEnumerable<BatchState> entering)
    {
        using Workspace workspace = Workspace.For(batches, stage, isTraced: _trace is not null);
        int positions = batches.SelectMany(batch => batch.Positions).Max() + 1;
        List<BatchState> states = [];
        try
        {
            // Where layers are streamed, this enumerator uploads the weights of later layers while the device computes.
            foreach (DecoderLayer layer in stage.Layers.InOrder())
            {
                bool isFirst = layer.Index == stage.Layers.First, isLast = layer.Index == stage.Layers.End - 1;
                ITensor rope = stage.Rope.Of(layer.Index, positions);
                var pass = new LayerPass(_device, _config, layer, options.Compute, rope, workspace, _trace);
                // A single micro-batch goes straight on to the next layer, so the sum that ends a layer and the norm that begins the next
                // are one op.
                bool goesOn = batches.Count == 1 && _trace is null;
                bool isNormed = goesOn && !isFirst && layer.Vectors.Input is not null;
                ITensor? nextInput = goesOn && !isLast ? stage.Layers.VectorsOf(layer.Index + 1).Input : null;
                foreach (BatchState state in isFirst ? entering : states)
                {
                    if (isFirst) states.Add(state);
                    pass.Run(state, isNormed, nextInput);
                    if (!isLast) continue;
                    state.Cache?.Complete();
                    yield return state;
                    state.Dispose();
                }

                if (isFirst) link.FirstLayerIsQueued();
            }
        }
        finally
        {
            foreach (BatchState state in states) state.Dispose();
        }
    }

    /// <summary>RmsNorm of the rows that the head reads; a trace gets that of all rows.</summary>
    private BatchState FinalNorm(BatchState state)
    {
        state.Replace(
            state.Residual.Rows, (normed, residual) => _device.RmsNorm(normed, residual, stage.FinalNorm!, _config.RmsNormEpsilon));
        if (_trace is null) return state;
        _trace.Record("final_norm", _device, state.Residual);
        state.KeepReadRows();
        return state;
    }

    /// <summary>The head's networks over the rows that it reads. A backbone alone has no head.</summary>
    private StageOutput Head(BatchState state)
    {
        link.WaitForRoom();
        return StageOutput.Begin(_device, state, options.ReadsHidden, stage.Head);
    }

    /// <summary>The hidden states of all rows, for the next stage.</summary>
    private StageOutput HandOver(BatchState state)
    {
        link.WaitForRoom();
        return StageOutput.Begin(_device, state, readsHidden: true, head: null);
    }
}
