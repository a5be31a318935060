namespace LdlVk.Benchmarking;

/// <summary>The common properties of measurements: one device with one weight format.</summary>
/// <param name="Device">The device.</param>
/// <param name="Shape">The model.</param>
/// <param name="Weights">Format of its matrices.</param>
/// <param name="Compute">How products are computed.</param>
/// <param name="Yardsticks">The best rates of the device.</param>
/// <param name="ColdStart">Time to the first result.</param>
/// <param name="KeptKernels">Whether kernels compiled in earlier runs were used; otherwise all were compiled.</param>
/// <param name="WhyNotTimed">The reason why ops have no times; null if they have times.</param>
public sealed record BenchContext(
    DeviceInfo Device, BenchShape Shape, WeightFormat Weights, ComputeMode Compute, Yardsticks Yardsticks, ColdStart ColdStart,
    bool KeptKernels, string? WhyNotTimed);

/// <summary>From opening the device to the first result.</summary>
/// <param name="Open">Seconds to open the device.</param>
/// <param name="Weights">Seconds to generate or load the weights.</param>
/// <param name="First">Seconds of the first run of the first scenario, including the compilation of kernels.</param>
public readonly record struct ColdStart(double Open, double Weights, double First)
{
    /// <summary>Seconds of all three.</summary>
    public double Total => Open + Weights + First;
}

/// <summary>Peak memory.</summary>
/// <param name="DeviceBytes">Tensors and weights on the device.</param>
/// <param name="ProcessBytes">Memory of the process on the host.</param>
public readonly record struct PeakMemory(long DeviceBytes, long ProcessBytes);
