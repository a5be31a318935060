namespace LdlVk.Runtime.Devices;

/// <summary>One call of an op, as the device ran it.</summary>
/// <param name="Op">The method of <see cref="IDevice"/>.</param>
/// <param name="Operand">The weight matrix of a Linear, without its layer's number: <c>self_attn.q_proj</c>; else empty.</param>
/// <param name="Shape">Sizes: rows × outputs × inputs of a Linear, rows × columns of the rest.</param>
/// <param name="Operations">
/// Arithmetic asked for: 2·M·N·K of a Linear; of Attention 4·head_dim for each head, query and key that the query sees; 0 for the rest.
/// </param>
/// <param name="Bytes">Bytes of the operands, each read or written once.</param>
/// <param name="Seconds">Time on the device's clock; 0 on a device that has none.</param>
public readonly record struct OpTiming(string Op, string Operand, string Shape, double Operations, double Bytes, double Seconds);

/// <summary>A device that can say how long its ops took.</summary>
public interface ITimedDevice
{
    /// <summary>Why it cannot after all; null if it can.</summary>
    string? WhyNotTimed { get; }

    /// <summary>Starts timing. One timer at a time; without one, timing costs nothing.</summary>
    IOpTimer StartTimer();
}

/// <summary>Times calls on a device until it is disposed.</summary>
public interface IOpTimer : IDisposable
{
    /// <summary>Begins an item: the calls on the device from here …</summary>
    void Begin();

    /// <summary>… to here.</summary>
    void End();

    /// <summary>Waits for the device; the seconds of each item, in order, in which the device ran it.</summary>
    double[] Finish();
}
