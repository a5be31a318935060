namespace LdlVk.Runtime.Model;

/// <summary>The hyperparameters of a decoder-only backbone, from config.json.</summary>
public sealed record BackboneConfig
{
    /// <summary>The architecture of the layers.</summary>
    public required Architecture Architecture { get; init; }
    /// <summary>Number of elements of a hidden state.</summary>
    public required int HiddenSize { get; init; }
    /// <summary>Number of decoder layers.</summary>
    public required int Layers { get; init; }
    /// <summary>Number of query heads.</summary>
    public required int Heads { get; init; }
    /// <summary>Number of KV heads.</summary>
    public required int KeyValueHeads { get; init; }
    /// <summary>Number of elements of a head; Heads·HeadDimension need not be HiddenSize.</summary>
    public required int HeadDimension { get; init; }
    /// <summary>Size of the feed-forward network: outputs of gate and up, inputs of down.</summary>
    public required int IntermediateSize { get; init; }
    /// <summary>Number of rows of the embedding table.</summary>
    public required int VocabularySize { get; init; }
    /// <summary>Maximum length of a text in tokens.</summary>
    public required int MaxPositions { get; init; }
    /// <summary>ε of every RMSNorm.</summary>
    public required float RmsNormEpsilon { get; init; }
    /// <summary>Base of the rotary embedding.</summary>
    public required double RopeTheta { get; init; }
    /// <summary>Scaling of the rotary frequencies; null for none.</summary>
    public RopeScaling? RopeScaling { get; init; }
    /// <summary>Attention scores are multiplied by 1/√ of this value.</summary>
    public required double QueryPreAttentionScalar { get; init; }
    /// <summary>Softcap of the attention scores; 0 for none.</summary>
    public float AttentionSoftcap { get; init; }
    /// <summary>Window of the even layers (0, 2, …); 0 for none.</summary>
    public int SlidingWindow { get; init; }
}

/// <summary>
/// Llama 3's scaling of the rotary frequencies (rope_type "llama3" of transformers' modeling_rope_utils.py). Frequencies with wavelengths
/// above OriginalPositions/LowFrequencyFactor are divided by Factor; those below OriginalPositions/HighFrequencyFactor are unchanged;
/// between the two, the scaling is interpolated.
/// </summary>
/// <param name="Factor">Divisor of the low frequencies.</param>
/// <param name="LowFrequencyFactor">Number of wavelengths in the original context up to which the full division applies.</param>
/// <param name="HighFrequencyFactor">Number of wavelengths in the original context from which no division applies.</param>
/// <param name="OriginalPositions">Maximum length of a text before the scaling.</param>
public sealed record RopeScaling(double Factor, double LowFrequencyFactor, double HighFrequencyFactor, int OriginalPositions)
{
    /// <summary>Scales a frequency in radians per position.</summary>
    public double Apply(double frequency)
    {
        double wavelengths = OriginalPositions * frequency / (2 * Math.PI);
        if (wavelengths < LowFrequencyFactor) return frequency / Factor;
        if (wavelengths > HighFrequencyFactor) return frequency;
        double smooth = (wavelengths - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor);
        return ((1 - smooth) * frequency / Factor) + (smooth * frequency);
    }
}
