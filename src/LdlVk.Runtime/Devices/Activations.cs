namespace LdlVk.Runtime.Devices;

/// <summary>What backends need of an <see cref="Activation"/>.</summary>
public static class Activations
{
    /// <summary>By what an activation multiplies what is below 0; what is not, it leaves alone.</summary>
    public static float NegativeSlope(this Activation activation) => activation switch
    {
        Activation.None => 1,
        Activation.LeakyRelu => 0.01f,
        Activation.Relu => 0,
        _ => throw new ArgumentOutOfRangeException(nameof(activation)),
    };
}
