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

    public void Dispose()
    {
        IDisposable[] parts = [InputNorm, Query, Key, Value, Output, PostAttentionNorm, PreFeedForwardNorm, Gate, Up, Down, PostFeedForwardNorm];
        foreach (IDisposable part in parts) part.Dispose();
    }
}
