using LdlVk.Runtime.Devices;

namespace LdlVk.Vulkan;

/// <summary>One way to run Linear: a shader, its specialization constants and the tile a workgroup computes.</summary>
/// <param name="Shader">The shader's name.</param>
/// <param name="Constants">Its specialization constants.</param>
/// <param name="FeaturesPerGroup">Output features of a workgroup's tile; even.</param>
/// <param name="RowsPerGroup">Rows of a workgroup's tile.</param>
/// <param name="RowsFirst">Whether the x of a workgroup counts row tiles, and y feature tiles; else the other way round.</param>
internal readonly record struct LinearKernel(string Shader, uint[] Constants, int FeaturesPerGroup, int RowsPerGroup, bool RowsFirst);

/// <summary>Which shader family a device runs Linear with.</summary>
internal enum LinearFamily
{
    /// <summary>linear_tile.comp: shared-memory tiles, for GPUs.</summary>
    Tile,
    /// <summary>linear_stream.comp: register tiles and subgroup broadcasts, for drivers that run on a processor.</summary>
    Stream,
}

/// <summary>
/// Chooses among the kernels of Linear. The family follows from the device's features alone; within a family only the tile's shape
/// depends on the number of rows, and all shapes give the same bits (shaders/include/linear.glsl).
/// </summary>
internal sealed class LinearKernels(LinearFamily family, uint subgroupSize)
{
    /// <summary>The family for a device.</summary>
    public static LinearFamily FamilyFor(PhysicalDeviceFacts facts) =>
        facts is { Kind: DeviceKind.Software, HasSubgroupBroadcast: true, SubgroupSize: 4 or 8 } ? LinearFamily.Stream : LinearFamily.Tile;

    /// <summary>The kernel for a weight format and a number of input rows.</summary>
    public LinearKernel For(WeightFormat format, int rows)
    {
        if (family == LinearFamily.Stream)
        {
            // 16 rows amortise the loads of a weight; fewer rows must not pay for 16.
            int height = rows <= 4 ? 4 : rows <= 8 ? 8 : 16;
            const int FeaturesPerInvocation = 4;
            return new LinearKernel("linear_stream", [subgroupSize, (uint)format, (uint)height, FeaturesPerInvocation],
                (int)subgroupSize * FeaturesPerInvocation, height, RowsFirst: true);
        }

        int perInvocation = rows <= 16 ? 1 : rows <= 32 ? 2 : 4;
        return new LinearKernel("linear_tile", [(uint)format, (uint)perInvocation], 64, 16 * perInvocation, RowsFirst: true);
    }
}
