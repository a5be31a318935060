namespace LdlVk.Runtime.Model;

/// <summary>The numbers of a Gemma-2 backbone, from config.json.</summary>
public sealed record Gemma2Config
{
    /// <summary>Elements of a hidden state.</summary>
    public required int HiddenSize { get; init; }
    /// <summary>Decoder layers.</summary>
    public required int Layers { get; init; }
    /// <summary>Query heads.</summary>
    public required int Heads { get; init; }
    /// <summary>KV heads.</summary>
    public required int KeyValueHeads { get; init; }
    /// <summary>Elements of a head; Heads·HeadDimension need not be HiddenSize.</summary>
    public required int HeadDimension { get; init; }
    /// <summary>Elements between gate/up and down.</summary>
    public required int IntermediateSize { get; init; }
    /// <summary>Rows of the embedding table.</summary>
    public required int VocabularySize { get; init; }
    /// <summary>Longest text in tokens.</summary>
    public required int MaxPositions { get; init; }
    /// <summary>ε of every RMSNorm.</summary>
    public required float RmsNormEpsilon { get; init; }
    /// <summary>Base of the rotary embedding.</summary>
    public required double RopeTheta { get; init; }
    /// <summary>Attention scores are multiplied by 1/√ of this.</summary>
    public required double QueryPreAttentionScalar { get; init; }
    /// <summary>Softcap of the attention scores; 0 for none.</summary>
    public required float AttentionSoftcap { get; init; }
    /// <summary>Window of the even layers (0, 2, …); 0 for none.</summary>
    public required int SlidingWindow { get; init; }
}
