using LdlVk.Runtime.Devices;

namespace LdlVk;

/// <summary>How the backbone's matrix products are computed.</summary>
public enum ComputeMode
{
    /// <summary>
    /// As exactly as the weights deserve: in fp32, or on matrix units that round operands to 11 bits (<see cref="IDevice.Linear"/>).
    /// </summary>
    Auto,
    /// <summary>
    /// In 8-bit integers (<see cref="IDevice.Int8Linear"/>), for GPUs that are faster at those; less exact, with the same bits on all
    /// devices.
    /// </summary>
    Int8,
    /// <summary>
    /// As <see cref="Auto"/>, with sums in fp16 over 32 products on matrix units that have such sums
    /// (<see cref="SumFormat.Fp16"/>), for GPUs that are faster at those; needs fp16, int8 or int4 weights.
    /// </summary>
    Fp16x,
}
