using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>The weights of one decoder layer on its device.</summary>
/// <param name="Index">Number of the layer in the model, from 0.</param>
/// <param name="Matrices">Its matrices.</param>
/// <param name="Vectors">Its norms and biases.</param>
internal sealed record DecoderLayer(int Index, LayerMatrices Matrices, LayerVectors Vectors);

/// <summary>The matrices of a layer, which are nearly all of its weights.</summary>
/// <param name="Query">[heads · head dimension, hidden].</param>
/// <param name="Key">[KV heads · head dimension, hidden].</param>
/// <param name="Value">[KV heads · head dimension, hidden].</param>
/// <param name="Output">[hidden, heads · head dimension].</param>
/// <param name="Gate">[FFN, hidden].</param>
/// <param name="Up">[FFN, hidden].</param>
/// <param name="Down">[hidden, FFN].</param>
internal sealed record LayerMatrices(IWeight Query, IWeight Key, IWeight Value, IWeight Output, IWeight Gate, IWeight Up, IWeight Down)
{
    /// <summary>Returns the names of a layer's matrices in a checkpoint, in the order of <see cref="All"/>.</summary>
    public static string[] Names(int layer) =>
    [
        .. new[]
        {
            "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
            "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
        }
            .Select(name => $"layers.{layer}.{name}.weight"),
    ];

    /// <summary>Creates each matrix from its name.</summary>
    public static LayerMatrices Create(int layer, Func<string, IWeight> make) =>
        Names(layer).Select(make).ToArray() is [var q, var k, var v, var o, var gate, var up, var down]
            ? new LayerMatrices(q, k, v, o, gate, up, down) : throw new InvalidOperationException("A layer has 7 matrices.");

    /// <summary>All matrices.</summary>
    public IReadOnlyList<IWeight> All => [Query, Key, Value, Output, Gate, Up, Down];
}

/// <summary>The norms and biases of a layer. Those that the architecture does not have are null.</summary>
internal sealed record LayerVectors
{
    /// <summary>The norm before attention, [1, hidden]; see <see cref="LayerNormNames"/>.</summary>
    public ITensor? Input { get; init; }
    /// <summary>The norm after attention, [1, hidden].</summary>
    public ITensor? PostAttention { get; init; }
    /// <summary>The norm before the feed-forward network, [1, hidden].</summary>
    public ITensor? PreFeedForward { get; init; }
    /// <summary>The norm after the feed-forward network, [1, hidden].</summary>
    public ITensor? PostFeedForward { get; init; }
    /// <summary>The norm of queries, [1, head dimension] or [1, heads · head dimension].</summary>
    public ITensor? QueryNorm { get; init; }
    /// <summary>The norm of keys, [1, head dimension] or [1, KV heads · head dimension].</summary>
    public ITensor? KeyNorm { get; init; }
    /// <summary>The bias of the queries, [1, heads · head dimension].</summary>
    public ITensor? QueryBias { get; init; }
    /// <summary>The bias of the keys, [1, KV heads · head dimension].</summary>
    public ITensor? KeyBias { get; init; }
    /// <summary>The bias of the values, [1, KV heads · head dimension].</summary>
    public ITensor? ValueBias { get; init; }
    /// <summary>The bias of attention's output, [1, hidden].</summary>
    public ITensor? OutputBias { get; init; }
    /// <summary>The bias of the feed-forward network's gate, [1, FFN].</summary>
    public ITensor? GateBias { get; init; }
    /// <summary>The bias of what the gate multiplies, [1, FFN].</summary>
    public ITensor? UpBias { get; init; }
    /// <summary>The bias of the feed-forward network's output, [1, hidden].</summary>
    public ITensor? DownBias { get; init; }

    /// <summary>Creates each vector from its name in <see cref="BackboneTensors"/>.</summary>
    public static LayerVectors Create(BackboneConfig config, int layer, Func<string, ITensor> make)
    {
        LayerNormNames norms = config.Architecture.Norms;
        bool normsHeads = config.Architecture.QueryKeyNorm != QueryKeyNorm.None, biasesInputs = config.AttentionBias != AttentionBias.None;
        return new LayerVectors
        {
            Input = Norm(norms.Input),
            PostAttention = Norm(norms.PostAttention),
            PreFeedForward = Norm(norms.PreFeedForward),
            PostFeedForward = Norm(norms.PostFeedForward),
            QueryNorm = If(normsHeads, BackboneTensors.QueryNorm),
            KeyNorm = If(normsHeads, BackboneTensors.KeyNorm),
            QueryBias = If(biasesInputs, BackboneTensors.QueryBias),
            KeyBias = If(biasesInputs, BackboneTensors.KeyBias),
            ValueBias = If(biasesInputs, BackboneTensors.ValueBias),
            OutputBias = If(config.AttentionBias == AttentionBias.All, BackboneTensors.OutputBias),
            GateBias = If(config.HasFeedForwardBiases, BackboneTensors.GateBias),
            UpBias = If(config.HasFeedForwardBiases, BackboneTensors.UpBias),
            DownBias = If(config.HasFeedForwardBiases, BackboneTensors.DownBias),
        };

        ITensor? Norm(string? name) => If(name is not null, name + ".weight");
        ITensor? If(bool has, string name) => has ? make(BackboneTensors.Layer(layer) + name) : null;
    }
}
