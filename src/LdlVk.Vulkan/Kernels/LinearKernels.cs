using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;

namespace LdlVk.Vulkan.Kernels;

/// <summary>One of the ways to cut a product into workgroups, all of which give the same bits.</summary>
internal interface ITiling
{
    /// <summary>Its name among those of its kernel: what <see cref="TileChoices"/> keeps.</summary>
    string Name { get; }
}

/// <summary>One way to run Linear or Int8Linear: a shader, its specialization constants and the tile a workgroup computes.</summary>
/// <param name="Shader">The shader's name.</param>
/// <param name="Constants">Its specialization constants.</param>
/// <param name="Rows">Rows of a workgroup's tile.</param>
/// <param name="Features">Output features of it, an even number; of a gated product, pairs of gate's and up's.</param>
/// <param name="SubgroupSize">The size of its subgroups where it depends on that, else 0.</param>
/// <param name="InBands">Whether workgroups count row tiles in x within a band, of which z is the number; else x counts all row tiles.</param>
internal sealed record LinearKernel(string Shader, uint[] Constants, int Rows, int Features, uint SubgroupSize = 0, bool InBands = true) : ITiling
{
    public string Name { get; } = $"{Rows}x{Features}";
}

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

/// <summary>Kernels that come with tiles to choose among.</summary>
internal enum TiledKernel
{
    /// <summary>linear_tile.comp.</summary>
    Tile,
    /// <summary>linear_stream.comp.</summary>
    Stream,
    /// <summary>linear_matrix.comp.</summary>
    Matrix,
    /// <summary>linear_int8_matrix.comp.</summary>
    Int8Matrix,
}

/// <summary>The products that get the same tiles.</summary>
/// <param name="Kernel">Whose tiles.</param>
/// <param name="Format">Format of the weight.</param>
/// <param name="Gated">Whether gate and up are computed side by side, which only matrix units do.</param>
/// <param name="OutputFeatures">Rows of the weight.</param>
/// <param name="InputFeatures">Columns of the weight.</param>
/// <param name="Rows">The largest number of input rows: a power of two, for each choice is a pipeline to compile.</param>
internal readonly record struct TilingKey(TiledKernel Kernel, WeightFormat Format, bool Gated, int OutputFeatures, int InputFeatures, int Rows);

/// <summary>
/// Chooses among the kernels of Linear. The family follows from the device's features and the weight's format alone; within a family
/// only the tile's shape depends on the number of rows and on what was measured, and all shapes give the same bits.
/// </summary>
internal sealed class LinearKernels(LinearFamily family, PhysicalDeviceFacts facts, TileChoices choices)
{
    private readonly Dictionary<TilingKey, ITiling> _inUse = [];
    private readonly Dictionary<TilingKey, IReadOnlyList<ITiling>> _candidates = [];

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
    public bool HasMatrixUnits => UsesMatrixUnits(family, facts);

    /// <summary>The same of a family on a device.</summary>
    public static bool UsesMatrixUnits(LinearFamily family, PhysicalDeviceFacts facts) =>
        family is LinearFamily.Matrix or LinearFamily.MatrixNv && facts.MatrixUnits is not null;

    /// <summary>The matrices of linear_matrix_nv.comp, if that is the family and the device has them.</summary>
    public FlexibleMatrices? Flexible => family == LinearFamily.MatrixNv ? facts.FlexibleMatrices : null;

    /// <summary>Rows that kernels load beyond the last of their input, whatever is there.</summary>
    public int RowsReadBeyond => FlexibleMatrices.MaxDown * (int)(Flexible?.M ?? 0);

    /// <summary>The kernel of a product on matrix units, or of two whose results are gated. Its family follows from the weight's shape and format alone.</summary>
    public LinearKernel KernelFor(MatrixUnits units, in LinearProduct product)
    {
        if (Flexible is { } flexible && product.Format is WeightFormat.Fp16 or WeightFormat.Int8 && flexible.Takes(product.OutputFeatures))
        {
            (uint down, uint across) = ForcedProducts ?? flexible.ProductsFor(product.OutputFeatures, product.Rows, product.Gated);
            return flexible.KernelFor(product.Format, product.Gated, down, across);
        }

        var tiles = (MatrixTiles)For(KeyOf(product));
        return new LinearKernel("linear_matrix", [.. tiles.Constants(units), (uint)product.Format, product.Gated ? 1u : 0u],
            (int)tiles.Rows, (int)tiles.Features / (product.Gated ? 2 : 1), units.SubgroupSize);
    }

    /// <summary>The matrix units for Int8Linear; null where it goes through dot products.</summary>
    public MatrixUnits? ByteMatrixUnits => HasMatrixUnits ? facts.ByteMatrixUnits : null;

    /// <summary>The kernel of Int8Linear. All its tilings, and all ways to multiply bytes, give the same bits.</summary>
    public LinearKernel Int8KernelFor(ByteUnits multiply, in LinearProduct product)
    {
        if (multiply == ByteUnits.Matrix)
        {
            MatrixUnits units = ByteMatrixUnits!;
            var tiles = (MatrixTiles)For(Int8KeyOf(product));
            return new LinearKernel("linear_int8_matrix", [.. tiles.Constants(units), (uint)product.Format], (int)tiles.Rows, (int)tiles.Features, units.SubgroupSize);
        }

        int perInvocation = product.Rows <= 16 ? 1 : product.Rows <= 32 ? 2 : 4;
        return new LinearKernel(multiply == ByteUnits.Dot ? "linear_int8_dot" : "linear_int8", [(uint)product.Format, (uint)perInvocation], 16 * perInvocation, 64);
    }

    /// <summary>Products down and across a workgroup of linear_matrix_nv.comp for any number of rows, for tests.</summary>
    public (uint Down, uint Across)? ForcedProducts { get; set; }

    /// <summary>What was measured to be fastest.</summary>
    public TileChoices Choices => choices;

    /// <summary>Name of the tiles to use wherever they are among the candidates, for measurements and tests.</summary>
    public string? Forced { get; set; }

    /// <summary>The key of a product.</summary>
    public TilingKey KeyOf(in LinearProduct product) => KeyOf(product, MatrixUnitsFor(product.Format) is not null ? TiledKernel.Matrix
        : family == LinearFamily.Stream ? TiledKernel.Stream : TiledKernel.Tile);

    /// <summary>The key of a product by Int8Linear on matrix units.</summary>
    public static TilingKey Int8KeyOf(in LinearProduct product) => KeyOf(product, TiledKernel.Int8Matrix);

    private static TilingKey KeyOf(in LinearProduct product, TiledKernel kernel)
    {
        // No tile of the matrix units has fewer than 16 rows, none of the others fewer than 4.
        int least = kernel is TiledKernel.Matrix or TiledKernel.Int8Matrix ? 16 : 4;
        int rows = (int)Math.Clamp(System.Numerics.BitOperations.RoundUpToPowerOf2((uint)product.Rows), least, 4096);
        return new TilingKey(kernel, product.Format, product.Gated && kernel == TiledKernel.Matrix, product.OutputFeatures, product.InputFeatures, rows);
    }

    /// <summary>The portable kernel for any other product.</summary>
    public LinearKernel KernelFor(in LinearProduct product) => (LinearKernel)For(KeyOf(product));

    /// <summary>All tilings that the device can run a product with, the likely fastest first.</summary>
    public IReadOnlyList<ITiling> Candidates(in TilingKey key)
    {
        TilingKey shared = key with { Gated = false, OutputFeatures = 0, InputFeatures = 0 };
        if (!_candidates.TryGetValue(shared, out IReadOnlyList<ITiling>? candidates))
            _candidates.Add(shared, candidates = shared.Kernel switch
            {
                TiledKernel.Matrix => MatrixTiles.For(facts.MatrixUnits!, facts.SharedBytes, facts.MaxThreads, shared.Rows),
                TiledKernel.Int8Matrix => MatrixTiles.For(facts.ByteMatrixUnits!, facts.SharedBytes, facts.MaxThreads, shared.Rows, bytes: true),
                TiledKernel.Stream => Stream(shared.Format, shared.Rows),
                _ => Tile(shared.Format, shared.Rows),
            });
        return candidates;
    }

    /// <summary>Chooses the tiles for products from now on.</summary>
    public void Choose(in TilingKey key, string name)
    {
        choices[key] = name;
        _inUse.Remove(key);
    }

    /// <summary>What was chosen, where that can be run, else the guess.</summary>
    private ITiling For(in TilingKey key)
    {
        if (Forced is { } forced && Candidates(key).FirstOrDefault(c => c.Name == forced) is { } wanted) return wanted;
        if (!_inUse.TryGetValue(key, out ITiling? tiling))
        {
            string? chosen = choices[key];
            _inUse.Add(key, tiling = Candidates(key).FirstOrDefault(c => c.Name == chosen) ?? Candidates(key)[0]);
        }

        return tiling;
    }

    private IReadOnlyList<ITiling> Stream(WeightFormat format, int rows)
    {
        // 16 rows amortise the loads of a weight; fewer rows must not pay for 16. As for features, see the kernel.
        int likely = Math.Min(rows, 16);
        return
        [
            .. from height in new[] { 16, 8, 4 }.OrderBy(h => h != likely)
               from features in new[] { 4, 2, 1 }
               select new LinearKernel("linear_stream", [facts.SubgroupSize, (uint)format, (uint)height, (uint)features],
                   height, (int)facts.SubgroupSize * features, InBands: false),
        ];
    }

    private static IReadOnlyList<ITiling> Tile(WeightFormat format, int rows)
    {
        int likely = Math.Clamp(rows / 16, 1, 4);
        return
        [
            .. from perInvocation in new[] { 4, 2, 1 }.OrderBy(p => p != likely)
               select new LinearKernel("linear_tile", [(uint)format, (uint)perInvocation], 16 * perInvocation, 64, InBands: false),
        ];
    }
}
