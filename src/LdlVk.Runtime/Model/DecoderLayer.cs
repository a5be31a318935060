using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>The weights of one decoder layer on its device.</summary>
/// <param name="Index">Number of the layer in the model, from 0.</param>
/// <param name="Matrices">Its matrices.</param>
/// <param name="Norms">Its norms.</param>
internal sealed record DecoderLayer(int Index, LayerMatrices Matrices, LayerNorms Norms);

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

/// <summary>The norms of a layer, [1, hidden] each; see <see cref="LayerNormNames"/>.</summary>
internal sealed record LayerNorms(ITensor Input, ITensor? PostAttention, ITensor PreFeedForward, ITensor? PostFeedForward)
{
    /// <summary>Creates each norm from its name in a checkpoint.</summary>
    public static LayerNorms Create(LayerNormNames names, int layer, Func<string, ITensor> make)
    {
        return new LayerNorms(
            Make(names.Input), Optional(names.PostAttention), Make(names.PreFeedForward), Optional(names.PostFeedForward));

        ITensor Make(string name) => make($"layers.{layer}.{name}.weight");
        ITensor? Optional(string? name) => name is null ? null : Make(name);
    }
}
