namespace LdlVk;

/// <summary>How the elements of a weight matrix are stored on a device.</summary>
public enum WeightFormat
{
    /// <summary>32-bit floats.</summary>
    Fp32,
    /// <summary>16-bit floats (IEEE half).</summary>
    Fp16,
    /// <summary>Signed 8-bit integers in groups of 32 along the input features, each group with one half-precision scale.</summary>
    Int8,
    /// <summary>
    /// 4-bit codes q in groups of 32 along the input features, each group with one half-precision scale; see
    /// <see cref="Runtime.Devices.WeightLayout"/>.
    /// </summary>
    Int4,
}
