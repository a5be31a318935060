using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Model;

namespace LdlVk.Runtime.Execution;

/// <summary>What comes after the last layer: the final norm and the heads.</summary>
internal sealed record StageTop(ITensor FinalNorm, RewardHead? Head);

/// <summary>
/// A part of the model on one device: some consecutive layers, before the first the embeddings, after the last the final norm and the
/// heads. Not thread-safe. Owns the weights, not the device.
/// </summary>
internal sealed class Stage : IDisposable
{
    private readonly BackboneConfig _config;
    private readonly EmbeddingTable? _embedding;
    private readonly WeightsOnDevice _owned;
    private readonly ILayerWeights _weights;
    private readonly StageTop? _top;
    private readonly DecoderLayers _layers;

    /// <summary>Takes the weights over.</summary>
    /// <param name="device">The device.</param>
    /// <param name="config">The model.</param>
    /// <param name="owned">All that is to be freed with the stage.</param>
    /// <param name="embedding">The embeddings, for the first stage.</param>
    /// <param name="weights">The layers.</param>
    /// <param name="top">What comes after the last layer, for the last stage.</param>
    public Stage(IDevice device, BackboneConfig config, WeightsOnDevice owned, EmbeddingTable? embedding, ILayerWeights weights, StageTop? top)
    {
        (Device, _config, _owned, _embedding, _weights, _top) = (device, config, owned, embedding, weights, top);
        _layers = new DecoderLayers(device, config, weights, owned.Rope(config));
    }

    public IDevice Device { get; }

    /// <summary>Whether it has the first layer.</summary>
    public bool IsFirst => _embedding is not null;

    /// <summary>Whether it has the last layer.</summary>
    public bool IsLast => _top is not null;

    /// <summary>The heads; null before the last stage, and of a backbone alone.</summary>
    public RewardHead? Head => _top?.Head;

    /// <summary>Whether its layers go through a wave one by one because they are not all on the device at a time.</summary>
    public bool Streams => _weights is not ResidentLayers;

    /// <summary>Whether it is all of the model.</summary>
    public bool IsWhole => _weights.End - _weights.First == _config.Layers;

    /// <summary>Elements of a hidden state.</summary>
    public int Columns => _config.HiddenSize;

    /// <summary>As errors and timelines name it.</summary>
    public string Name => IsWhole
        ? $"{Device.Info.Id} ({Device.Info.Name})"
        : $"{Device.Info.Id} ({Device.Info.Name}; layers {_weights.First} to {_weights.End - 1} of {_config.Layers})";

    /// <summary>Takes micro-batches through the stage.</summary>
    /// <param name="batches">The batches.</param>
    /// <param name="compute">How products are computed.</param>
    /// <param name="enter">
    /// Called when it is the turn of batch i, with the tensor [rows, hidden] for its hidden states: to be written from the stage before, if
    /// there is one.
    /// </param>
    /// <param name="leave">
    /// Is shown what batch i leaves with, for the time of the call: the hidden states of all rows, or, of the last stage, those of the
    /// texts' last rows after the final norm.
    /// </param>
    /// <param name="begun">Called when the device has been given the first layer with all batches.</param>
    /// <param name="trace">Where intermediates go; null for nowhere.</param>
    public void Run(
        IReadOnlyList<MicroBatch> batches, ComputeMode compute, Action<int, ITensor> enter, Action<int, ITensor> leave, Action? begun = null, ITrace? trace = null)
    {
        _layers.Run(batches, compute, Enter, Leave, begun, trace);

        ITensor Enter(int i)
        {
            ITensor residual = Device.CreateTensor(batches[i].Rows, _config.HiddenSize);
            try
            {
                enter(i, residual);
                if (_embedding is null) return residual;
                _embedding.Write(Device, residual, batches[i].TokenIds);
                trace?.Record("residual.embedding", Device, residual);
                return residual;
            }
            catch
            {
                residual.Dispose();
                throw;
            }
        }

        void Leave(int i, ITensor hidden)
        {
            if (_top is null)
            {
                leave(i, hidden);
                return;
            }

            using ITensor last = Device.CreateTensor(batches[i].Texts.Length, _config.HiddenSize);
            if (trace is null)
            {
                Device.RmsNorm(last, hidden, _top.FinalNorm, _config.RmsNormEpsilon);
            }
            else
            {
                using ITensor normed = Device.CreateTensor(hidden.Rows, hidden.Columns);
                using IIndexList rows = Device.CreateIndices(batches[i].LastRows);
                Device.RmsNorm(normed, hidden, _top.FinalNorm, _config.RmsNormEpsilon);
                trace.Record("final_norm", Device, normed);
                Device.GatherRows(last, normed, rows);
            }

            leave(i, last);
        }
    }

    public void Dispose() => _owned.Dispose();
}
