using System.Text.Json;

namespace LdlVk.Runtime.Devices;

/// <summary>How a device is opened once more, beside the first.</summary>
public enum Reopening
{
    /// <summary>Weights are uploaded by the queue that computes.</summary>
    OneQueue,
    /// <summary>Weights are uploaded by a queue of their own.</summary>
    TwoQueues,
    /// <summary>The driver is asked about each kernel that it compiles (<see cref="ISelfTestedDevice.Kernels"/>).</summary>
    Statistics,
}

/// <summary>The rate of arithmetic units by themselves, with operands in registers.</summary>
/// <param name="Units">The units, such as <c>fp16 matrix units</c>.</param>
/// <param name="Format">Format of the weights whose products run on them.</param>
/// <param name="Bytes">Whether these products are <see cref="IDevice.Int8Linear"/>, else <see cref="IDevice.Linear"/>.</param>
/// <param name="OperationsPerSecond">Operations a second; a multiply-add is two.</param>
/// <param name="Sums">What these products are summed in.</param>
public sealed record PeakRate(
    string Units, WeightFormat Format, bool Bytes, double OperationsPerSecond, SumFormat Sums = SumFormat.Fp32);

/// <summary>What the driver says of a kernel that it compiled, by the driver's own names: registers, spills, shared memory.</summary>
/// <param name="Kernel">The kernel's name and its constants.</param>
/// <param name="Statistics">The figures.</param>
public sealed record KernelStatistics(string Kernel, IReadOnlyDictionary<string, double> Statistics);

/// <summary>A device about which the self-test can find out more than its ops show.</summary>
public interface ISelfTestedDevice : IDevice
{
    /// <summary>What the driver says of the kernels compiled so far; empty unless it was opened for <see cref="Reopening.Statistics"/>.
    /// </summary>
    IReadOnlyList<KernelStatistics> Kernels { get; }

    /// <summary>Opens the same device with the same kernels once more.</summary>
    /// <returns>The device; null where it cannot be opened in this way.</returns>
    /// <exception cref="DeviceException">The driver refused.</exception>
    ISelfTestedDevice? Reopen(Reopening reopening);

    /// <summary>Measures the units that products of fp16 and int8 weights run on; takes a fraction of a second.</summary>
    /// <exception cref="DeviceException">The device failed.</exception>
    IReadOnlyList<PeakRate> MeasurePeaks();

    /// <summary>Writes all that the driver tells about itself and the device, as members of an object.</summary>
    void Describe(Utf8JsonWriter json);
}
