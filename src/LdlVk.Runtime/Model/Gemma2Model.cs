using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;

namespace LdlVk.Runtime.Model;

/// <summary>
/// The Gemma-2 backbone (Gemma Team 2024, "Gemma 2"; modeling_gemma2.py) on one device. Prefill only: the K and V of a layer live for
/// that layer, and the last layer computes queries, attention output and MLP for the last token of each text alone.
/// </summary>
internal sealed class Gemma2Model : IDisposable
{
    /// <summary>Rows of gate and up at a time: at 36864 features they are the largest activations by far.</summary>
    public const int FeedForwardRows = 1024;

    /// <summary>How the layers' products are computed.</summary>
    public ComputeMode Compute { get; set; }

    private readonly IDevice _device;
    private readonly Gemma2Config _config;
    private readonly EmbeddingTable _embedding;
    private readonly Gemma2Layer[] _layers;
    private readonly ITensor _finalNorm;
    private readonly ITensor _rope;

    public Gemma2Model(
        IDevice device, Gemma2Config config, EmbeddingTable embedding, Gemma2Layer[] layers, ITensor finalNorm, ITensor ropeTable) =>
        (_device, _config, _embedding, _layers, _finalNorm, _rope) = (device, config, embedding, layers, finalNorm, ropeTable);

    /// <summary>
    /// The hidden state of each text's last token after the final norm, [texts, hidden]. With a trace, every row goes through every
    /// layer, so that all intermediates can be compared; the result has the same bits.
    /// </summary>
    public ITensor Forward(MicroBatch batch, ITrace? trace = null)
    {
        using ITensor residual = _device.CreateTensor(batch.Rows, _config.HiddenSize);
        _embedding.Write(_device, residual, batch.TokenIds);
        trace?.Record("residual.embedding", _device, residual);

        using Rows all = new(_device, batch.Positions, batch.Segments);
        int wholeLayers = trace is null ? _layers.Length - 1 : _layers.Length;
        RunWholeLayers(wholeLayers, batch, all, residual, trace);

        using IIndexList lastRows = _device.CreateIndices(batch.LastRows);
        ITensor last = Gather(residual, lastRows);
        try
        {
            if (wholeLayers < _layers.Length) RunLastLayer(batch, all, lastRows, residual, last);
            _device.RmsNorm(last, last, _finalNorm, _config.RmsNormEpsilon);
            RecordFinalNorm(trace, residual);
            return last;
        }
        catch
        {
            last.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        foreach (Gemma2Layer layer in _layers) layer.Dispose();
        _finalNorm.Dispose();
        _rope.Dispose();
    }

    private void RunWholeLayers(int count, MicroBatch batch, Rows all, ITensor residual, ITrace? trace)
    {
        int feedForwardRows = trace is null ? Math.Min(FeedForwardRows, batch.Rows) : batch.Rows;
        using var w = new Workspace(_device, _config, batch.Rows, batch.Rows, feedForwardRows);
        for (int layer = 0; layer < count; layer++)
        {
            LayerTrace? names = trace is null ? null : new LayerTrace(trace, _device, layer);
            _device.RmsNorm(w.Normed, residual, _layers[layer].InputNorm, _config.RmsNormEpsilon);
            names?.Record("input_layernorm", w.Normed);
            RunLayer(layer, w, all, all, w.Normed, w.Normed, residual, names);
            trace?.Record($"residual.layer.{layer}", _device, residual);
        }
    }

    /// <summary>Keys and values of all rows; queries, output and MLP of the last ones.</summary>
    private void RunLastLayer(MicroBatch batch, Rows all, IIndexList lastRows, ITensor residual, ITensor lastResidual)
    {
        int texts = batch.Texts.Length;
        using Rows last = new(_device, batch.LastPositions, batch.LastSegments);
        using var w = new Workspace(_device, _config, texts, batch.Rows, Math.Min(FeedForwardRows, texts));
        using ITensor normed = _device.CreateTensor(batch.Rows, _config.HiddenSize);
        _device.RmsNorm(normed, residual, _layers[^1].InputNorm, _config.RmsNormEpsilon);
        using ITensor lastNormed = Gather(normed, lastRows);
        RunLayer(_layers.Length - 1, w, all, last, normed, lastNormed, lastResidual, null);
    }

    /// <summary>One decoder layer; adds to <paramref name="residual"/>, which has the query rows.</summary>
    /// <param name="index">Which layer.</param>
    /// <param name="w">Scratch tensors.</param>
    /// <param name="keys">The rows that keys and values are computed for.</param>
    /// <param name="queries">The rows that go on to the next layer.</param>
    /// <param name="normedKeys">Input norm of the key rows.</param>
    /// <param name="normedQueries">Input norm of the query rows.</param>
    /// <param name="residual">Residual stream of the query rows.</param>
    /// <param name="trace">Where intermediates go.</param>
    private void RunLayer(
        int index, Workspace w, Rows keys, Rows queries, ITensor normedKeys, ITensor normedQueries, ITensor residual, LayerTrace? trace)
    {
        Gemma2Layer layer = _layers[index];
        var attention = new AttentionShape(
            _config.Heads, _config.KeyValueHeads, _config.HeadDimension,
            Scale: (float)(1.0 / Math.Sqrt(_config.QueryPreAttentionScalar)),
            Softcap: _config.AttentionSoftcap,
            Window: index % 2 == 0 ? _config.SlidingWindow : 0,
            HalvesOperands: layer.Query.Format != WeightFormat.Fp32);

        // residual += PostAttentionNorm(O · attention(rope(Q·x), rope(K·x), V·x)), x = InputNorm(residual)
        // The three products need nothing of each other, so a device may run them side by side.
        Linear(w.Query, normedQueries, layer.Query);
        trace?.Record("self_attn.q_proj", w.Query);
        Linear(w.Key, normedKeys, layer.Key);
        trace?.Record("self_attn.k_proj", w.Key);
        Linear(w.Value, normedKeys, layer.Value);
        trace?.Record("self_attn.v_proj", w.Value);
        _device.Rope(w.Query, _config.Heads, queries.Positions, _rope);
        _device.Rope(w.Key, _config.KeyValueHeads, keys.Positions, _rope);
        _device.Attention(w.Heads, w.Query, w.Key, w.Value, queries.Segments, attention);
        trace?.Record("attention_heads", w.Heads);
        Linear(w.Normed, w.Heads, layer.Output);
        trace?.Record("self_attn.o_proj", w.Normed);
        trace?.RecordNorm("post_attention_layernorm", w.Normed, layer.PostAttentionNorm, _config.RmsNormEpsilon);
        _device.NormAdd(residual, w.Normed, layer.PostAttentionNorm, _config.RmsNormEpsilon);

        // residual += PostFeedForwardNorm(Down · (gelu(Gate·x) ⊙ Up·x)), x = PreFeedForwardNorm(residual)
        _device.RmsNorm(w.Normed, residual, layer.PreFeedForwardNorm, _config.RmsNormEpsilon);
        trace?.Record("pre_feedforward_layernorm", w.Normed);
        for (int first = 0; first < residual.Rows; first += w.Gate.Rows)
        {
            int count = Math.Min(w.Gate.Rows, residual.Rows - first);
            ITensor x = w.Normed.View(first, count), gate = w.Gate.View(0, count), up = w.Up.View(0, count);
            if (trace is null && Compute == ComputeMode.Auto)
            {
                _device.GatedLinear(gate, up, x, layer.Gate, layer.Up);
            }
            else
            {
                Linear(gate, x, layer.Gate);
                trace?.Record("mlp.gate_proj", gate);
                Linear(up, x, layer.Up);
                trace?.Record("mlp.up_proj", up);
                _device.GeluMultiply(gate, gate, up);
            }

            // A chunk's input is not needed any more: its output takes its place.
            Linear(x, gate, layer.Down);
        }

        trace?.Record("mlp.down_proj", w.Normed);
        trace?.RecordNorm("post_feedforward_layernorm", w.Normed, layer.PostFeedForwardNorm, _config.RmsNormEpsilon);
        _device.NormAdd(residual, w.Normed, layer.PostFeedForwardNorm, _config.RmsNormEpsilon);
    }

    private void Linear(ITensor output, ITensor input, IWeight weight)
    {
        if (Compute == ComputeMode.Int8) _device.Int8Linear(output, input, weight);
        else _device.Linear(output, input, weight);
    }

    private void RecordFinalNorm(ITrace? trace, ITensor residual)
    {
        if (trace is null) return;
        using ITensor normed = _device.CreateTensor(residual.Rows, residual.Columns);
        _device.RmsNorm(normed, residual, _finalNorm, _config.RmsNormEpsilon);
        trace.Record("final_norm", _device, normed);
    }

    private ITensor Gather(ITensor source, IIndexList rows)
    {
        ITensor gathered = _device.CreateTensor(rows.Count, source.Columns);
        try
        {
            _device.GatherRows(gathered, source, rows);
            return gathered;
        }
        catch
        {
            gathered.Dispose();
            throw;
        }
    }

    /// <summary>Things on the device that live and die together, also when making one of them fails.</summary>
    private abstract class Bundle : IDisposable
    {
        private readonly List<IDisposable> _parts = [];

        public void Dispose()
        {
            foreach (IDisposable part in _parts) part.Dispose();
        }

        protected T Own<T>(Func<T> make) where T : IDisposable
        {
            try
            {
                T part = make();
                _parts.Add(part);
                return part;
            }
            catch
            {
                Dispose();
                throw;
            }
        }
    }

    /// <summary>Positions and attention segments of a set of rows, on the device.</summary>
    private sealed class Rows : Bundle
    {
        public Rows(IDevice device, int[] positions, AttentionSegment[] segments)
        {
            Positions = Own(() => device.CreateIndices(positions));
            Segments = Own(() => device.CreateSegments(segments));
        }

        public IIndexList Positions { get; }
        public ISegmentList Segments { get; }
    }

    /// <summary>The scratch tensors of a layer, used again by every layer.</summary>
    private sealed class Workspace : Bundle
    {
        public Workspace(IDevice device, Gemma2Config config, int queryRows, int keyRows, int feedForwardRows)
        {
            Normed = Own(() => device.CreateTensor(queryRows, config.HiddenSize));
            Query = Own(() => device.CreateTensor(queryRows, config.Heads * config.HeadDimension));
            Key = Own(() => device.CreateTensor(keyRows, config.KeyValueHeads * config.HeadDimension));
            Value = Own(() => device.CreateTensor(keyRows, config.KeyValueHeads * config.HeadDimension));
            Heads = Own(() => device.CreateTensor(queryRows, config.Heads * config.HeadDimension));
            Gate = Own(() => device.CreateTensor(feedForwardRows, config.IntermediateSize));
            Up = Own(() => device.CreateTensor(feedForwardRows, config.IntermediateSize));
        }

        public ITensor Normed { get; }
        public ITensor Query { get; }
        public ITensor Key { get; }
        public ITensor Value { get; }
        public ITensor Heads { get; }
        public ITensor Gate { get; }
        public ITensor Up { get; }
    }

    /// <summary>Puts a layer's name before what it records.</summary>
    private sealed class LayerTrace(ITrace trace, IDevice device, int layer)
    {
        public void Record(string name, ITensor tensor) => trace.Record($"layer.{layer}.{name}", device, tensor);

        /// <summary>Records RmsNorm(y), which NormAdd computes without storing.</summary>
        public void RecordNorm(string name, ITensor y, ITensor weight, float epsilon)
        {
            using ITensor normed = device.CreateTensor(y.Rows, y.Columns);
            device.RmsNorm(normed, y, weight, epsilon);
            Record(name, normed);
        }
    }
}
