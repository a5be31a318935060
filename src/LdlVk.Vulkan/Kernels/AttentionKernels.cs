using LdlVk.Vulkan.Device;

namespace LdlVk.Vulkan.Kernels;

/// <summary>One way to run Attention.</summary>
/// <param name="Shader">The shader's name.</param>
/// <param name="Constants">Its specialization constants.</param>
/// <param name="Queries">Query rows of a workgroup.</param>
/// <param name="SubgroupSize">The subgroup size that the shader needs; 0 leaves it to the driver.</param>
internal readonly record struct AttentionKernel(string Shader, uint[] Constants, int Queries, uint SubgroupSize = 0);

/// <summary>
/// Chooses the kernel of Attention. Its family is that of Linear and follows from the device's features alone. Families differ in the order
/// of sums, and so in bits.
/// </summary>
internal sealed class AttentionKernels(LinearFamily family, PhysicalDeviceFacts facts)
{
    /// <summary>Sums of an invocation that leave registers for everything else, on a device with 255 registers.</summary>
    private const uint LikelySums = 64;

    /// <summary>fp16 values after a tile's row in shared memory (shaders/include/halves.glsl).</summary>
    private const uint Padding = 8;

    /// <summary>
    /// Query rows that a workgroup of attention_matrix.comp may have. With more of them, fewer workgroups load the same keys.
    /// </summary>
    public static readonly int[] MatrixQueryBlocks = [64, 32, 16];

    /// <summary>Sums that an invocation keeps, instead of as many as the device's registers hold; for tests.</summary>
    public uint? ForcedSums { get; set; }

    /// <summary>Query rows of a workgroup, for each of the device's kernels.</summary>
    public IEnumerable<int> QueryBlockSizes =>
        OnMatrixUnits ? MatrixQueryBlocks.Prepend(PortableQueryBlock).Distinct() : [PortableQueryBlock];

    private int PortableQueryBlock => family == LinearFamily.Stream ? (int)facts.SubgroupSize : 16;

    /// <summary>The portable kernel for a head dimension.</summary>
    public AttentionKernel PortableKernel(int headDimension)
    {
        if (family == LinearFamily.Stream)
            return new AttentionKernel("attention_stream", [facts.SubgroupSize, (uint)headDimension], PortableQueryBlock);

        // The largest tiles that fit into KernelLimits.SharedMemoryBytes.
        uint keysPerTile = headDimension <= 128 ? 32u : 8u;
        return new AttentionKernel("attention", [(uint)headDimension, keysPerTile], PortableQueryBlock);
    }

    /// <summary>
    /// The kernel for a head dimension on the device's matrix units; null where it has none, or they do not suit the dimension.
    /// </summary>
    public AttentionKernel? MatrixKernel(int headDimension) =>
        !OnMatrixUnits ? null
        : MatrixKernelOn(
            ForcedSums is { } sums ? facts.MatrixUnits! with { MaxSums = sums } : facts.MatrixUnits!, headDimension,
            MatrixLimits.Of(facts));

    private bool OnMatrixUnits => LinearKernels.UsesMatrixUnits(family, facts) && facts.Rule?.Use != MatrixUse.Products;

    /// <summary>
    /// The kernel for a head dimension on matrix units; null where they do not suit it. The order of sums follows from the size of a tile
    /// of keys and from how many subgroups share a query; both depend on the units and the head dimension alone.
    /// </summary>
    public static AttentionKernel? MatrixKernelOn(MatrixUnits units, int headDimension, MatrixLimits limits)
    {
        uint keys = headDimension <= 128 ? 32u : 16u, dimension = ((uint)headDimension + 31) / 32 * 32;
        if (keys % Math.Max(units.N, units.K) != 0) return null;
        // Registers of an invocation: its share of the sums of M queries, and of the queries themselves.
        uint sums = units.M * dimension / units.SubgroupSize, operands = sums / 2, split = 1;
        while (sums / split > Math.Min(LikelySums, units.MaxSums) && split < units.M && dimension / units.N % (2 * split) == 0
            && units.SubgroupSize * 2 * split / units.M <= keys)
        {
            split *= 2;
        }

        bool fewRegisters = (sums / split) + operands > units.MaxSums;
        // The softmax of a row is computed by a whole number of invocations, each of which has as many of its keys.
        if (units.SubgroupSize * split % units.M != 0 || units.SubgroupSize * split / units.M > keys) return null;
        foreach (int queries in MatrixQueryBlocks)
        {
            if (queries > 2 * keys || queries % units.M != 0 || SharedBytes((uint)queries) > limits.SharedBytes) continue;
            uint subgroups = (uint)queries / units.M * split, threads = subgroups * units.SubgroupSize;
            if (subgroups > limits.Subgroups || threads > limits.Threads) continue;
            return new AttentionKernel("attention_matrix",
                [threads, units.SubgroupSize, units.M, units.N, units.K, (uint)headDimension, keys, split, fewRegisters ? 1u : 0u],
                queries, units.SubgroupSize);
        }

        return null;

        // The kernel's arrays, one after the other.
        uint SharedBytes(uint queries) => ((2 * keys) + (fewRegisters ? queries : 0)) * (dimension + Padding) * 2
            + (queries * (Math.Max(keys, split * units.N) + 4) * 4) + (queries * (keys + Padding) * 2) + (((2 * keys) + queries) * 4) + 16;
    }
}
