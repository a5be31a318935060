using LdlVk.Runtime.Devices;

namespace LdlVk.Vulkan;

/// <summary>One way to run Linear without matrix units: a shader, its specialization constants and the tile a workgroup computes.</summary>
/// <param name="Shader">The shader's name.</param>
/// <param name="Constants">Its specialization constants.</param>
/// <param name="FeaturesPerGroup">Output features of a workgroup's tile; even.</param>
/// <param name="RowsPerGroup">Rows of a workgroup's tile.</param>
/// <param name="RowsFirst">Whether the x of a workgroup counts row tiles, and y feature tiles; else the other way round.</param>
internal readonly record struct LinearKernel(string Shader, uint[] Constants, int FeaturesPerGroup, int RowsPerGroup, bool RowsFirst);

/// <summary>One way to run Linear on matrix units, as <see cref="LinearKernel"/>.</summary>
/// <param name="Shader">The shader's name.</param>
/// <param name="Constants">Its specialization constants.</param>
/// <param name="Rows">Rows of a workgroup's tile.</param>
/// <param name="Features">Features of it; of a gated product, pairs of gate's and up's.</param>
/// <param name="SubgroupSize">The size of its subgroups.</param>
internal readonly record struct MatrixKernel(string Shader, uint[] Constants, int Rows, int Features, uint SubgroupSize);

/// <summary>Which shader family a device runs Linear with.</summary>
internal enum LinearFamily
{
    /// <summary>linear_tile.comp: shared-memory tiles, for GPUs.</summary>
    Tile,
    /// <summary>linear_stream.comp: register tiles and subgroup broadcasts, for drivers that run on a processor.</summary>
    Stream,
    /// <summary>linear_matrix.comp: matrix units with fp16 operands; fp32 weights, which they would round, go through tiles.</summary>
    Matrix,
    /// <summary>
    /// linear_matrix_nv.comp: fp16 and int8 weights on matrices of flexible size; what it cannot take goes the way of
    /// <see cref="Matrix"/>. Only where it is named: no GPU has shown yet whether it is faster.
    /// </summary>
    MatrixNv,
}

/// <summary>
/// Chooses among the kernels of Linear. The family follows from the device's features and the weight's format alone; within a family
/// only the tile's shape depends on the number of rows, and all shapes give the same bits.
/// </summary>
internal sealed class LinearKernels(LinearFamily family, PhysicalDeviceFacts facts)
{
    private readonly Dictionary<int, MatrixTiles> _matrixTiles = [];

    /// <summary>
    /// The family for a device. llvmpipe offers matrix units that it computes element by element: streaming is three times faster there.
    /// </summary>
    public static LinearFamily FamilyFor(PhysicalDeviceFacts facts) =>
        facts is { Kind: DeviceKind.Software, HasSubgroupBroadcast: true, SubgroupSize: 4 or 8 } ? LinearFamily.Stream
        : facts.MatrixUnits is { } units && MatrixTiles.For(units, facts.SharedBytes, facts.MaxThreads, 16).Count > 0 ? LinearFamily.Matrix
        : LinearFamily.Tile;

    /// <summary>The matrix units that a weight of this format is multiplied on; null where it goes through a portable kernel.</summary>
    public MatrixUnits? MatrixUnitsFor(WeightFormat format) =>
        HasMatrixUnits && format != WeightFormat.Fp32 ? facts.MatrixUnits : null;

    /// <summary>Whether there are matrix units to use at all.</summary>
    public bool HasMatrixUnits => family is LinearFamily.Matrix or LinearFamily.MatrixNv && facts.MatrixUnits is not null;

    /// <summary>The matrices of linear_matrix_nv.comp, if that is the family and the device has them.</summary>
    public FlexibleMatrices? Flexible => family == LinearFamily.MatrixNv ? facts.FlexibleMatrices : null;

    /// <summary>Rows that kernels load beyond the last of their input, whatever is there.</summary>
    public int RowsReadBeyond => FlexibleMatrices.MaxDown * (int)(Flexible?.M ?? 0);

    /// <summary>The kernel of a product on matrix units, or of two whose results are gated. Its family follows from the weight's shape and format alone.</summary>
    public MatrixKernel KernelFor(MatrixUnits units, WeightFormat format, int features, int rows, bool gated)
    {
        if (Flexible is { } flexible && format is WeightFormat.Fp16 or WeightFormat.Int8 && flexible.Takes(features))
        {
            (uint down, uint across) = ForcedProducts ?? flexible.ProductsFor(features, rows, gated);
            return flexible.KernelFor(format, gated, down, across);
        }

        MatrixTiles tiles = TilesFor(units, rows);
        return new MatrixKernel("linear_matrix", [.. tiles.Constants(units), (uint)format, gated ? 1u : 0u], (int)tiles.Rows, (int)tiles.Features / (gated ? 2 : 1), units.SubgroupSize);
    }

    /// <summary>Products down and across a workgroup of linear_matrix_nv.comp for any number of rows, for tests.</summary>
    public (uint Down, uint Across)? ForcedProducts { get; set; }

    /// <summary>Tiles to use for any number of rows, for tests.</summary>
    public MatrixTiles? Forced { get; set; }

    /// <summary>The tiles of linear_matrix.comp for a number of input rows.</summary>
    public MatrixTiles TilesFor(MatrixUnits units, int rows)
    {
        if (Forced is { } forced) return forced;
        // By powers of two: each choice is a pipeline to compile.
        int about = (int)Math.Clamp(System.Numerics.BitOperations.RoundUpToPowerOf2((uint)rows), 16, 4096);
        if (!_matrixTiles.TryGetValue(about, out MatrixTiles? tiles))
            _matrixTiles.Add(about, tiles = AllTiles(units, about)[0]);
        return tiles;
    }

    /// <summary>All tiles that the device can run, the likely fastest first.</summary>
    public IReadOnlyList<MatrixTiles> AllTiles(MatrixUnits units, int rows) => MatrixTiles.For(units, facts.SharedBytes, facts.MaxThreads, rows);

    /// <summary>The portable kernel for a weight format and a number of input rows.</summary>
    public LinearKernel For(WeightFormat format, int rows)
    {
        if (family == LinearFamily.Stream)
        {
            // 16 rows amortise the loads of a weight; fewer rows must not pay for 16.
            int height = rows <= 4 ? 4 : rows <= 8 ? 8 : 16;
            const int FeaturesPerInvocation = 4;
            return new LinearKernel("linear_stream", [facts.SubgroupSize, (uint)format, (uint)height, FeaturesPerInvocation],
                (int)facts.SubgroupSize * FeaturesPerInvocation, height, RowsFirst: true);
        }

        int perInvocation = rows <= 16 ? 1 : rows <= 32 ? 2 : 4;
        return new LinearKernel("linear_tile", [(uint)format, (uint)perInvocation], 64, 16 * perInvocation, RowsFirst: true);
    }
}
