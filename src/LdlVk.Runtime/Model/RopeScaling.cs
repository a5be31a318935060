namespace LdlVk.Runtime.Model;

/// <summary>A rotary embedding: its base, and what stretches it to long texts.</summary>
/// <param name="Theta">The base.</param>
/// <param name="Scaling">How the frequencies are scaled; null for not.</param>
/// <param name="Part">The part of a head that is rotated.</param>
public sealed record RotaryEmbedding(double Theta, RopeScaling? Scaling, double Part = 1)
{
    /// <summary>Returns the number of elements of a head that are rotated.</summary>
    public int Rotated(int headDimension) => (int)(headDimension * Part);

    /// <summary>Returns the angles of a head's rotated pairs in radians per position: θ^(−2i/d), scaled.</summary>
    public double[] Frequencies(int headDimension)
    {
        int rotated = Rotated(headDimension);
        double[] frequencies = [.. Enumerable.Range(0, rotated / 2).Select(i => Math.Pow(Theta, -2.0 * i / rotated))];
        return Scaling?.Apply(frequencies, Theta) ?? frequencies;
    }
}

/// <summary>
/// A way to scale rotary frequencies for texts that are longer than those of the training (modeling_rope_utils.py of transformers).
/// </summary>
public abstract record RopeScaling
{
    private protected RopeScaling()
    {
    }

    /// <summary>Factor of the cosines and sines.</summary>
    public virtual double Magnitude => 1;

    /// <summary>Scales the frequencies of a head's pairs, which are in radians per position.</summary>
    internal abstract double[] Apply(double[] frequencies, double theta);
}

/// <summary>All frequencies are divided by a factor (rope_type "linear"; Chen et al. 2023, "Extending Context Window").</summary>
/// <param name="Factor">The divisor.</param>
public sealed record LinearRopeScaling(double Factor) : RopeScaling
{
    internal override double[] Apply(double[] frequencies, double theta) => [.. frequencies.Select(f => f / Factor)];

    /// <inheritdoc/>
    public override string ToString() => FormattableString.Invariant($"stretched {Factor} times");
}

/// <summary>
/// Llama 3's scaling (rope_type "llama3"). Frequencies with wavelengths above OriginalPositions/LowFrequencyFactor are divided by Factor;
/// those below OriginalPositions/HighFrequencyFactor are unchanged; between the two, the scaling is interpolated.
/// </summary>
/// <param name="Factor">Divisor of the low frequencies.</param>
/// <param name="LowFrequencyFactor">Number of wavelengths in the original context up to which the full division applies.</param>
/// <param name="HighFrequencyFactor">Number of wavelengths in the original context from which no division applies.</param>
/// <param name="OriginalPositions">Maximum length of a text before the scaling.</param>
public sealed record Llama3RopeScaling(double Factor, double LowFrequencyFactor, double HighFrequencyFactor, int OriginalPositions)
    : RopeScaling
{
    internal override double[] Apply(double[] frequencies, double theta) => [.. frequencies.Select(Apply)];

    private double Apply(double frequency)
    {
        double wavelengths = OriginalPositions * frequency / (2 * Math.PI);
        if (wavelengths < LowFrequencyFactor) return frequency / Factor;
        if (wavelengths > HighFrequencyFactor) return frequency;
        double smooth = (wavelengths - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor);
        return ((1 - smooth) * frequency / Factor) + (smooth * frequency);
    }

    /// <inheritdoc/>
    public override string ToString() => FormattableString.Invariant($"stretched {Factor} times from {OriginalPositions} positions");
}

/// <summary>
/// YaRN (rope_type "yarn"; Peng et al. 2023, "YaRN: Efficient Context Window Extension"). Pairs that turn more than FastTurns times in the
/// original context keep their frequency, those that turn less than SlowTurns times have it divided by Factor, and between the two it is
/// interpolated by the pair's number.
/// </summary>
/// <param name="Factor">Divisor of the low frequencies.</param>
/// <param name="OriginalPositions">Maximum length of a text before the scaling.</param>
/// <param name="FastTurns"><c>beta_fast</c>.</param>
/// <param name="SlowTurns"><c>beta_slow</c>.</param>
/// <param name="Truncates">Whether the first and the last pair that are interpolated are whole numbers.</param>
/// <param name="AttentionFactor">Factor of the cosines and sines.</param>
public sealed record YarnRopeScaling(
    double Factor, int OriginalPositions, double FastTurns, double SlowTurns, bool Truncates, double AttentionFactor) : RopeScaling
{
    /// <inheritdoc/>
    public override double Magnitude => AttentionFactor;

    /// <summary>Returns the factor of cosines and sines that the paper proposes: 0.1·weight·ln(factor) + 1.</summary>
    public static double MagnitudeOf(double factor, double weight = 1) => factor <= 1 ? 1 : (0.1 * weight * Math.Log(factor)) + 1;

    internal override double[] Apply(double[] frequencies, double theta)
    {
        int dimension = 2 * frequencies.Length;
        double low = PairOf(FastTurns), high = PairOf(SlowTurns);
        if (Truncates) (low, high) = (Math.Floor(low), Math.Ceiling(high));
        (low, high) = (Math.Max(low, 0), Math.Min(high, dimension - 1));
        // transformers does so where the two are equal.
        if (low == high) high += 0.001;
        return [.. frequencies.Select((f, pair) =>
        {
            double stretched = Math.Clamp((pair - low) / (high - low), 0, 1);
            return (f / Factor * stretched) + (f * (1 - stretched));
        })];

        // The pair, as a fraction, that turns so often in the original context.
        double PairOf(double turns) => dimension * Math.Log(OriginalPositions / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
    }

    /// <inheritdoc/>
    public override string ToString() =>
        FormattableString.Invariant($"stretched {Factor} times from {OriginalPositions} positions by YaRN");
}

/// <summary>
/// LongRoPE (rope_type "longrope"; Ding et al. 2024, "LongRoPE: Extending LLM Context Window Beyond 2 Million Tokens"), as texts up to the
/// original maximum have it: each pair has a divisor of its own. Longer texts have other divisors, and are not read.
/// </summary>
/// <param name="Divisors"><c>short_factor</c>.</param>
/// <param name="AttentionFactor">Factor of the cosines and sines.</param>
public sealed record LongRopeScaling(IReadOnlyList<double> Divisors, double AttentionFactor) : RopeScaling
{
    /// <inheritdoc/>
    public override double Magnitude => AttentionFactor;

    internal override double[] Apply(double[] frequencies, double theta) => [.. frequencies.Select((f, pair) => f / Divisors[pair])];

    /// <inheritdoc/>
    public bool Equals(LongRopeScaling? other) =>
        other is not null && AttentionFactor == other.AttentionFactor && Divisors.SequenceEqual(other.Divisors);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Divisors.Count, AttentionFactor);

    /// <inheritdoc/>
    public override string ToString() => "LongRoPE's short factors";
}
