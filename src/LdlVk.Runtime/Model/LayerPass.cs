using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>Computes one decoder layer for micro-batches.</summary>
internal sealed class LayerPass(
    IDevice device, BackboneConfig config, DecoderLayer layer, ComputeMode compute, ITensor rope, Workspace workspace, ITrace? trace)
{
    private readonly LayerMatrices _weights = layer.Matrices;
    private readonly LayerVectors _vectors = layer.Vectors;
    private readonly LayerNormNames _names = config.Architecture.Norms;
    private readonly AttentionShape _attention = new(
        config.Heads, config.KeyValueHeads, config.HeadDimension,
        Scale: (float)(1.0 / Math.Sqrt(config.QueryPreAttentionScalar)),
        Softcap: config.AttentionSoftcap,
        Window: config.Window(layer.Index),
        HalvesOperands: layer.Matrices.Query.Format != WeightFormat.Fp32);

    /// <summary>Computes the layer for a batch. The model's last layer keeps only the rows that the head reads, unless traced.</summary>
    public void Run(BatchState state)
    {
        ITensor normed = workspace.Normed.View(0, state.Residual.Rows);
        device.RmsNorm(normed, state.Residual, _vectors.Input, config.RmsNormEpsilon);
        Record(_names.Input, normed);
        if (layer.Index < config.Layers - 1 || trace is not null)
        {
            Run(state.All, state.All, state.Batch.KeptRows, normed, normed, state.Residual);
        }
        else
        {
            using ITensor readNormed = state.KeepReadRows(normed);
            Run(state.All, state.Queries, state.Batch.KeptRows, normed, readNormed, state.Residual);
        }

        trace?.Record($"residual.layer.{layer.Index}", device, state.Residual);
    }

    /// <summary>Adds to the residual stream, which has the query rows.</summary>
    /// <param name="keys">The rows for which keys and values are computed.</param>
    /// <param name="queries">The rows that go on to the next layer.</param>
    /// <param name="kept">Number of rows of keys and values kept from the previous batch.</param>
    /// <param name="normedKeys">Input norm of the key rows.</param>
    /// <param name="normedQueries">Input norm of the query rows.</param>
    /// <param name="residual">Residual stream of the query rows.</param>
    private void Run(RowSet keys, RowSet queries, int kept, ITensor normedKeys, ITensor normedQueries, ITensor residual)
    {
        Workspace w = workspace;
        ITensor query = w.Query.View(0, queries.Count), heads = w.Heads.View(0, queries.Count), normed = w.Normed.View(0, queries.Count);
        ITensor key = w.Key.View(kept, keys.Count), value = w.Value.View(kept, keys.Count);

        // residual += PostAttentionNorm(O · attention(rope(Q·x), rope(K·x), V·x)), x = InputNorm(residual); without that norm in Llama,
        // with biases in Qwen2, and with a norm of each head before the rotation in Qwen3 and Gemma-3.
        // The three products are independent, so a device may run them concurrently.
        Linear(query, normedQueries, _weights.Query, _vectors.QueryBias);
        Record("self_attn.q_proj", query);
        Linear(key, normedKeys, _weights.Key, _vectors.KeyBias);
        Record("self_attn.k_proj", key);
        Linear(value, normedKeys, _weights.Value, _vectors.ValueBias);
        Record("self_attn.v_proj", value);
        NormHeads("self_attn.q_norm", query, config.Heads, _vectors.QueryNorm);
        NormHeads("self_attn.k_norm", key, config.KeyValueHeads, _vectors.KeyNorm);
        device.Rope(query, config.Heads, queries.Positions, rope);
        device.Rope(key, config.KeyValueHeads, keys.Positions, rope);
        device.Attention(heads, query, w.Key.View(0, kept + keys.Count), w.Value.View(0, kept + keys.Count), queries.Segments, _attention);
        Record("attention_heads", heads);
        Linear(normed, heads, _weights.Output, _vectors.OutputBias);
        Record("self_attn.o_proj", normed);
        AddTo(residual, normed, _names.PostAttention, _vectors.PostAttention);

        // residual += PostFeedForwardNorm(Down · (activation(Gate·x) ⊙ Up·x)), x = PreFeedForwardNorm(residual); without that norm in
        // Llama
        device.RmsNorm(normed, residual, _vectors.PreFeedForward, config.RmsNormEpsilon);
        Record(_names.PreFeedForward, normed);
        for (int first = 0; first < residual.Rows; first += w.Gate.Rows)
        {
            int count = Math.Min(w.Gate.Rows, residual.Rows - first);
            ITensor x = normed.View(first, count), gate = w.Gate.View(0, count), up = w.Up.View(0, count);
            // The fused product has no operands for biases, which no published model of the families has (Llama's mlp_bias).
            if (trace is null && compute == ComputeMode.Auto && !config.HasFeedForwardBiases)
            {
                device.GatedLinear(gate, up, x, _weights.Gate, _weights.Up, config.GateActivation);
            }
            else
            {
                Linear(gate, x, _weights.Gate, _vectors.GateBias);
                Record("mlp.gate_proj", gate);
                Linear(up, x, _weights.Up, _vectors.UpBias);
                Record("mlp.up_proj", up);
                device.GateMultiply(gate, gate, up, config.GateActivation);
            }

            // The input of a chunk is no longer needed, so its output replaces it.
            Linear(x, gate, _weights.Down, _vectors.DownBias);
        }

        Record("mlp.down_proj", normed);
        AddTo(residual, normed, _names.PostFeedForward, _vectors.PostFeedForward);
    }

    private void Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias = null)
    {
        if (compute == ComputeMode.Int8) device.Int8Linear(output, input, weight, bias);
        else device.Linear(output, input, weight, bias);
    }

    /// <summary>RmsNorm of each head, if the architecture has one here.</summary>
    private void NormHeads(string name, ITensor heads, int count, ITensor? weight)
    {
        if (weight is null) return;
        device.HeadNorm(heads, count, weight, config.RmsNormEpsilon);
        Record(name, heads);
    }

    private void Record(string name, ITensor tensor) => trace?.Record($"layer.{layer.Index}.{name}", device, tensor);

    /// <summary>residual += RmsNorm(y), or residual += y if the architecture has no norm here.</summary>
    private void AddTo(ITensor residual, ITensor y, string? name, ITensor? weight)
    {
        if (weight is null)
        {
            device.Add(residual, y);
            return;
        }
        if (trace is not null)
        {
            // NormAdd computes it without storing it.
            using ITensor normed = device.CreateTensor(y.Rows, y.Columns);
            device.RmsNorm(normed, y, weight, config.RmsNormEpsilon);
            Record(name!, normed);
        }
        device.NormAdd(residual, y, weight, config.RmsNormEpsilon);
    }
}
