namespace LdlVk.Runtime.Model;

/// <summary>The numbers of a decoder-only backbone, from config.json.</summary>
public sealed record BackboneConfig
{
    /// <summary>What its layers look like.</summary>
    public required Architecture Architecture { get; init; }
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
    /// <summary>How the rotary embedding's frequencies are stretched; null for not at all.</summary>
    public RopeScaling? RopeScaling { get; init; }
    /// <summary>Attention scores are multiplied by 1/√ of this.</summary>
    public required double QueryPreAttentionScalar { get; init; }
    /// <summary>Softcap of the attention scores; 0 for none.</summary>
    public float AttentionSoftcap { get; init; }
    /// <summary>Window of the even layers (0, 2, …); 0 for none.</summary>
    public int SlidingWindow { get; init; }
}

/// <summary>
/// Llama 3's stretching of the rotary frequencies (rope_type "llama3" of transformers' modeling_rope_utils.py): those of wavelengths above
/// OriginalPositions/LowFrequencyFactor are divided by Factor, those below OriginalPositions/HighFrequencyFactor stay, and between the two
/// it goes over smoothly.
/// </summary>
/// <param name="Factor">By what low frequencies are divided.</param>
/// <param name="LowFrequencyFactor">Wavelengths in the original context at which all of the division applies.</param>
/// <param name="HighFrequencyFactor">Wavelengths in the original context at which none of it does.</param>
/// <param name="OriginalPositions">Longest text before the stretching.</param>
public sealed record RopeScaling(double Factor, double LowFrequencyFactor, double HighFrequencyFactor, int OriginalPositions)
{
    /// <summary>A frequency, in radians a position, stretched.</summary>
    public double Apply(double frequency)
    {
        double wavelengths = OriginalPositions * frequency / (2 * Math.PI);
        if (wavelengths < LowFrequencyFactor) return frequency / Factor;
        if (wavelengths > HighFrequencyFactor) return frequency;
        double smooth = (wavelengths - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor);
        return ((1 - smooth) * frequency / Factor) + (smooth * frequency);
    }
}
