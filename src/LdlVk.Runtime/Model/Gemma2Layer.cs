using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Model;

/// <summary>The weights of one decoder layer on its device.</summary>
internal sealed record Gemma2Layer : IDisposable
{
    public required ITensor InputNorm { get; init; }
    public required IWeight Query { get; init; }
    public required IWeight Key { get; init; }
    public required IWeight Value { get; init; }
    public required IWeight Output { get; init; }
    public required ITensor PostAttentionNorm { get; init; }
    public required ITensor PreFeedForwardNorm { get; init; }
    public required IWeight Gate { get; init; }
    public required IWeight Up { get; init; }
    public required IWeight Down { get; init; }
    public required ITensor PostFeedForwardNorm { get; init; }

    /// <summary>Makes the tensors of one layer by their names in a checkpoint.</summary>
    /// <param name="at">What all names begin with: <c>layers.N.</c></param>
    /// <param name="matrix">Makes the matrix of a name.</param>
    /// <param name="vector">Makes the norm weights of a name.</param>
    public static Gemma2Layer Create(string at, Func<string, IWeight> matrix, Func<string, ITensor> vector) => new()
    {
        InputNorm = vector(at + "input_layernorm.weight"),
        Query = matrix(at + "self_attn.q_proj.weight"),
        Key = matrix(at + "self_attn.k_proj.weight"),
        Value = matrix(at + "self_attn.v_proj.weight"),
        Output = matrix(at + "self_attn.o_proj.weight"),
        PostAttentionNorm = vector(at + "post_attention_layernorm.weight"),
        PreFeedForwardNorm = vector(at + "pre_feedforward_layernorm.weight"),
        Gate = matrix(at + "mlp.gate_proj.weight"),
        Up = matrix(at + "mlp.up_proj.weight"),
        Down = matrix(at + "mlp.down_proj.weight"),
        PostFeedForwardNorm = vector(at + "post_feedforward_layernorm.weight"),
    };

    public void Dispose()
    {
        IDisposable[] parts = [InputNorm, Query, Key, Value, Output, PostAttentionNorm, PreFeedForwardNorm, Gate, Up, Down, PostFeedForwardNorm];
        foreach (IDisposable part in parts) part.Dispose();
    }
}
