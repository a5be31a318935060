using System.Runtime.InteropServices;
using LdlVk.Cpu.Memory;
using LdlVk.Runtime.Devices;

namespace LdlVk.Cpu;

/// <summary>The CPU backend: one device, <c>cpu</c>, that is always there.</summary>
public static class CpuBackend
{
    /// <summary>The id of the only device.</summary>
    public const string DeviceId = "cpu";

    /// <summary>The devices of this backend: the processor.</summary>
    public static IReadOnlyList<DeviceInfo> Enumerate() => [Describe()];

    /// <summary>Opens a device.</summary>
    /// <param name="id"><c>cpu</c>.</param>
    /// <param name="memoryLimit">
    /// Bytes that its tensors and weights may take, pinned weights and the ops' scratch aside; null for all there are.
    /// </param>
    /// <exception cref="UsageException">There is no device of that name here.</exception>
    public static IDevice Open(string id, long? memoryLimit = null) => id == DeviceId
        ? new CpuDevice(Describe(), Environment.ProcessorCount, memoryLimit)
        : throw new UsageException($"The CPU backend has no device '{id}'; its only device is '{DeviceId}'.");

    private static DeviceInfo Describe() => new(
        DeviceId,
        ProcessorName(),
        DeviceKind.Cpu,
        RuntimeInformation.FrameworkDescription,
        HostMemory.TotalBytes(),
        HostMemory.FreeBytes(),
        ["fp32", $"{Environment.ProcessorCount} threads", .. Vectors.Best.Describe()])
    {
        SumsHalves = true,
    };

    private static string ProcessorName()
    {
        foreach (string line in SystemFile.Lines("/proc/cpuinfo"))
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0 && line.AsSpan(0, colon).Trim().SequenceEqual("model name")) return line[(colon + 1)..].Trim();
        }
        string? named = Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER");
        return string.IsNullOrWhiteSpace(named) ? $"{RuntimeInformation.ProcessArchitecture} processor" : named;
    }
}
