using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Memory;

namespace LdlVk.Vulkan.Kernels;

/// <summary>
/// What the kernels can address. SPIR-V takes the indexes of an access chain as signed, so a kernel's 32-bit index must stay below 2³¹:
/// it counts floats of a tensor and vectors of a weight. A row must fit into a staging chunk.
/// </summary>
internal static class KernelLimits
{
    /// <summary>Workgroups that every device allows in each dimension of a dispatch.</summary>
    public const int MaxGroups = 65535;

    /// <summary>Shared memory that attention.comp and linear_tile.comp use at most; Vulkan itself guarantees only half of it.</summary>
    public const uint SharedMemoryBytes = 32 << 10;

    /// <summary>Invocations of a workgroup of linear_tile.comp; Vulkan itself guarantees only 128.</summary>
    public const uint WorkgroupInvocations = 256;

    /// <summary>Elements of a head at which attention's tiles still fit into shared memory.</summary>
    public const int MaxHeadDimension = 256;

    private const int MaxIndex = int.MaxValue;

    /// <summary>Bytes of a tensor, padding included.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A negative number of rows, or no columns.</exception>
    /// <exception cref="DeviceException">It is too large for the kernels.</exception>
    public static ulong TensorBytes(int rows, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(columns);
        CheckRow($"A tensor [{rows}, {columns}]", (long)columns * sizeof(float));
        long elements = (long)rows * WeightLayout.PaddedRow(columns);
        if (elements > MaxIndex)
        {
            throw new DeviceException(
                $"A tensor [{rows}, {columns}] of {elements >> 28} GiB is above the 8 GiB that the Vulkan kernels address. "
                + $"Use a smaller {OptionName.BatchTokens}.");
        }

        return (ulong)elements * sizeof(float);
    }

    /// <summary>Bytes of a weight with its scales, padding included.</summary>
    /// <exception cref="ArgumentException">It is no matrix.</exception>
    /// <exception cref="DeviceException">It is too large for the kernels.</exception>
    public static ulong WeightBytes(string name, WeightFormat format, int outputFeatures, int inputFeatures)
    {
        if (outputFeatures <= 0 || inputFeatures <= 0)
            throw new ArgumentException($"{name}: [{outputFeatures}, {inputFeatures}] is no weight matrix.");
        string what = $"{name} [{outputFeatures}, {inputFeatures}] in {format}";
        CheckRow(what, WeightLayout.RowBytes(format, inputFeatures));
        // Kernels load vectors of 8 elements; of fp32 4, of int4 16.
        long vectors = (long)outputFeatures * WeightLayout.PaddedRow(inputFeatures) / (format == WeightFormat.Fp32 ? 4 : 8);
        if (vectors > MaxIndex)
            throw new DeviceException($"{what} is larger than the Vulkan kernels address. Use {OptionName.Device.Of("cpu")}.");
        return (ulong)WeightLayout.MatrixBytes(format, outputFeatures, inputFeatures);
    }

    private static void CheckRow(string what, long rowBytes)
    {
        // Half a chunk leaves room for the scales of a row.
        if (rowBytes > StagingRing.ChunkBytes / 2)
        {
            throw new DeviceException(
                $"{what}: rows of more than {StagingRing.ChunkBytes >> 21} MiB are above what the Vulkan backend moves in one piece. "
                + $"Use {OptionName.Device.Of("cpu")}.");
        }
    }
}
