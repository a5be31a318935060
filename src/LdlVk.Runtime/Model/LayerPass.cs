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
    /// <param name="state">The batch.</param>
    /// <param name="isNormed">Whether the layer before has computed this one's first norm.</param>
    /// <param name="nextInput">The next layer's first norm if this layer is to compute it; only where no other batch comes between.</param>
    public void Run(BatchState state, bool isNormed = false, ITensor? nextInput = null)
    {
        Workspace w = workspace;
        int kept = state.Batch.KeptRows, read = state.Batch.KeyRows;
        ITensor key = w.Key.View(kept, state.All.Count), value = w.Value.View(kept, state.All.Count);

        // residual += PostAttentionNorm(O · attention(rope(Q·x), rope(K·x), V·x)), x = InputNorm(residual); without the first norm in
        // Llama and without the second in OLMo-2, with biases in Qwen2, and with a norm of queries and keys before the rotation in Qwen3,
        // Gemma-3 and OLMo-2.
        // The three products are independent, so a device may run them concurrently.
        ITensor x = isNormed ? w.Normed.View(0, state.Residual.Rows) : Norm(state.Residual, _names.Input, _vectors.Input);
        Linear(key, x, _weights.Key, _vectors.KeyBias);
        Record("self_attn.k_proj", key);
        Linear(value, x, _weights.Value, _vectors.ValueBias);
        Record("self_attn.v_proj", value);
        if (layer.Index == config.Layers - 1 && trace is null)
        {
            state.KeepReadRows();
            x = Norm(state.Residual, _names.Input, _vectors.Input);
        }

        RowSet queries = state.Queries;
        ITensor residual = state.Residual, normed = w.Normed.View(0, queries.Count);
        ITensor query = w.Query.View(0, queries.Count), heads = w.Heads.View(0, queries.Count);
        Linear(query, x, _weights.Query, _vectors.QueryBias);
        Record("self_attn.q_proj", query);
        NormHeads("self_attn.q_norm", query, config.Heads, _vectors.QueryNorm);
        NormHeads("self_attn.k_norm", key, config.KeyValueHeads, _vectors.KeyNorm);
        device.Rope(query, config.Heads, queries.Positions, rope);
        device.Rope(key, config.KeyValueHeads, state.All.Positions, rope);
        state.Cache?.Run(layer.Index, w.Key, w.Value);
        device.Attention(heads, query, w.Key.View(0, read), w.Value.View(0, read), queries.Segments, _attention);
        Record("attention_heads", heads);
        Linear(normed, heads, _weights.Output, _vectors.OutputBias);
        Record("self_attn.o_proj", normed);
        // The sum and the norm after it are one op, untraced.
        bool isOne = trace is null && _vectors.PreFeedForward is not null;
        if (isOne) device.AddNorm(normed, residual, normed, _vectors.PostAttention, _vectors.PreFeedForward!, config.RmsNormEpsilon);
        else AddTo(residual, normed, _names.PostAttention, _vectors.PostAttention);

        // residual += PostFeedForwardNorm(Down · (activation(Gate·x) ⊙ Up·x)), x = PreFeedForwardNorm(residual); without the first
        // norm in Llama, and without the second in OLMo-2
        x = isOne ? normed : Norm(residual, _names.PreFeedForward, _vectors.PreFeedForward);
        for (int first = 0; first < residual.Rows; first += w.Gate.Rows)
        {
            int count = Math.Min(w.Gate.Rows, residual.Rows - first);
            ITensor rows = x.View(first, count), gate = w.Gate.View(0, count), up = w.Up.View(0, count);
            // The fused product has no operands for biases, which no published model of the families has (Llama's mlp_bias).
            if (trace is null && compute != ComputeMode.Int8 && !config.HasFeedForwardBiases)
            {
                device.GatedLinear(gate, up, rows, _weights.Gate, _weights.Up, config.GateActivation, compute.Sums());
            }
            else
            {
                Linear(gate, rows, _weights.Gate, _vectors.GateBias);
                Record("mlp.gate_proj", gate);
                Linear(up, rows, _weights.Up, _vectors.UpBias);
                Record("mlp.up_proj", up);
                device.GateMultiply(gate, gate, up, config.GateActivation);
            }

            // The norm of a chunk is no longer needed, so its output replaces it.
            Linear(normed.View(first, count), gate, _weights.Down, _vectors.DownBias);
        }

        Record("mlp.down_proj", normed);
        if (nextInput is null) AddTo(residual, normed, _names.PostFeedForward, _vectors.PostFeedForward);
        else device.AddNorm(normed, residual, normed, _vectors.PostFeedForward, nextInput, config.RmsNormEpsilon);
        trace?.Record($"residual.layer.{layer.Index}", device, residual);
    }

    private void Linear(ITensor output, ITensor input, IWeight weight, ITensor? bias = null)
    {
        if (compute == ComputeMode.Int8) device.Int8Linear(output, input, weight, bias);
        else device.Linear(output, input, weight, bias, sums: compute.Sums());
    }

    /// <summary>RmsNorm of a half's input, or that input if the architecture has no norm here.</summary>
    private ITensor Norm(ITensor residual, string? name, ITensor? weight)
    {
        if (weight is null) return residual;
        ITensor normed = workspace.Normed.View(0, residual.Rows);
        device.RmsNorm(normed, residual, weight, config.RmsNormEpsilon);
        Record(name!, normed);
        return normed;
    }

    /// <summary>RmsNorm of each head or of all together, if the architecture has one here.</summary>
    private void NormHeads(string name, ITensor heads, int count, ITensor? weight)
    {
        if (weight is null) return;
        if (config.Architecture.QueryKeyNorm == QueryKeyNorm.Head) device.HeadNorm(heads, count, weight, config.RmsNormEpsilon);
        else device.RmsNorm(heads, heads, weight, config.RmsNormEpsilon);
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
