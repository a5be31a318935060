using LdlVk.Runtime.Devices;

namespace LdlVk;

/// <summary>The kind of hardware of a device; decides the order in which <c>auto</c> prefers devices.</summary>
public enum DeviceKind
{
    /// <summary>A graphics card with its own memory.</summary>
    DiscreteGpu,
    /// <summary>A GPU that shares the host's memory.</summary>
    IntegratedGpu,
    /// <summary>A GPU passed through by a hypervisor.</summary>
    VirtualGpu,
    /// <summary>The processor itself, through the CPU backend.</summary>
    Cpu,
    /// <summary>A GPU driver that runs on the processor (llvmpipe, SwiftShader). Used only when named.</summary>
    Software,
}

/// <summary>One device as it is found, before it is opened.</summary>
/// <param name="Id">The name users give: <c>cpu</c>, <c>vulkan:0</c>.</param>
/// <param name="Name">The product name the driver reports.</param>
/// <param name="Kind">The kind of hardware.</param>
/// <param name="Driver">Driver name and version, for bug reports and benchmark tables.</param>
/// <param name="MemoryBytes">Device-local memory in bytes.</param>
/// <param name="FreeMemoryBytes">Bytes of it that are free now; equal to <paramref name="MemoryBytes"/> if the driver does not say.</param>
/// <param name="Features">Feature names that decide which kernels run, as <c>fp16</c> or <c>subgroup 32</c>.</param>
public sealed record DeviceInfo(
    string Id,
    string Name,
    DeviceKind Kind,
    string Driver,
    long MemoryBytes,
    long FreeMemoryBytes,
    IReadOnlyList<string> Features)
{
    /// <summary>
    /// Bytes that an element of an activation takes once more as an operand of matrix units, beside weights other than fp32; 0 where
    /// products read activations as they are.
    /// </summary>
    public int MatrixOperandBytes { get; init; }

    /// <summary>The same of <see cref="IDevice.Int8Linear"/>.</summary>
    public int Int8OperandBytes { get; init; }

    /// <summary>Whether its products are summed in fp16 where <see cref="SumFormat.Fp16"/> allows it.</summary>
    public bool SumsHalves { get; init; }

    /// <summary>Device memory that its ops take beside their operands; all zero if they take none.</summary>
    public OpScratch Scratch { get; init; }

    /// <summary><see cref="Kernels"/> of a device that uses no matrix units.</summary>
    public const string PortableKernels = "portable";

    /// <summary>Which kernels it runs: <c>portable</c>, <c>matrix units</c>, or <c>matrix units but for attention</c>.</summary>
    public string Kernels { get; init; } = PortableKernels;

    /// <summary>Why it runs those kernels, in words.</summary>
    public string WhyKernels { get; init; } = "the backend has no others";

    /// <summary>The choice that led to <see cref="Kernels"/>; the device is opened with it.</summary>
    public KernelChoice KernelChoice { get; init; }

    /// <summary>
    /// Parts of the device that run one workgroup each at full speed: streaming multiprocessors, pairs of compute units (AMD from RDNA on),
    /// shader cores. 0 where its driver does not say.
    /// </summary>
    public int Cores { get; init; }

    /// <summary>The id of a device before it that is the same card behind another driver; null where there is none.</summary>
    public string? SameCardAs { get; init; }

    /// <summary>Whether it computes on the host's processor, in the host's memory.</summary>
    public bool IsProcessor => Kind is DeviceKind.Cpu or DeviceKind.Software;
}
