namespace LdlVk.Runtime.Devices;

/// <summary>The number by which backends compute an <see cref="Activation"/>.</summary>
internal static class Activations
{
    /// <summary>The factor of values below 0; an activation leaves other values unchanged.</summary>
    public static float NegativeSlope(this Activation activation) => activation switch
    {
        Activation.None => 1,
        Activation.LeakyRelu => 0.01f,
        Activation.Relu => 0,
        _ => throw new ArgumentOutOfRangeException(nameof(activation)),
    };
}
