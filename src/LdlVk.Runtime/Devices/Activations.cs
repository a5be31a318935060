namespace LdlVk.Runtime.Devices;

/// <summary>The number by which backends compute an <see cref="Activation"/>.</summary>
internal static class Activations
{
    /// <summary>λ of <see cref="Activation.Selu"/>.</summary>
    public const double SeluScale = 1.0507009873554804934;

    /// <summary>α of <see cref="Activation.Selu"/>.</summary>
    public const double SeluAlpha = 1.6732632423543772848;

    /// <summary>
    /// The factor of values below 0; an activation leaves other values unchanged. −1 stands for <see cref="Activation.Selu"/>, which has no
    /// such factor.
    /// </summary>
    public static float NegativeSlope(this Activation activation) => activation switch
    {
        Activation.None => 1,
        Activation.LeakyRelu => 0.01f,
        Activation.Relu => 0,
        Activation.Selu => -1,
        _ => throw new ArgumentOutOfRangeException(nameof(activation)),
    };
}
