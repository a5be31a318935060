using System.Numerics;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;

namespace LdlVk.Vulkan.Kernels;

/// <summary>
/// Chooses the kernels of Linear, GatedLinear and Int8Linear. The family follows from the device's features and the weight's format alone.
/// Within a family, the number of rows and measurements choose the tile's shape, and all shapes give the same bits.
/// </summary>
internal sealed class LinearKernels(LinearFamily family, PhysicalDeviceFacts facts, TileChoices choices)
{
    private readonly Dictionary<TilingKey, ITiling> _inUse = [];
    private readonly Dictionary<TilingKey, IReadOnlyList<ITiling>> _candidates = [];

    /// <summary>
    /// The family for a device. llvmpipe offers matrix units but computes them element by element: streaming is three times faster there,
    /// so they are used only where they are asked for.
    /// </summary>
    public static LinearFamily FamilyFor(PhysicalDeviceFacts facts)
    {
        bool streams = facts is { Kind: DeviceKind.Software, HasSubgroupBroadcast: true, SubgroupSize: 4 or 8 };
        bool matrix = facts.MatrixUnits is { } units
            && MatrixTiles.Candidates(units, MatrixLimits.Of(facts), new ProductSize(16, 16), facts.Cores).Count > 0;
        return matrix && (!streams || facts.Choice == KernelChoice.Matrix) ? LinearFamily.Matrix
            : streams ? LinearFamily.Stream : LinearFamily.Tile;
    }

    /// <summary>Whether a weight of this format is multiplied on matrix units; else it goes through a portable kernel.</summary>
    public bool UsesMatrixUnitsFor(WeightFormat format) => HasMatrixUnits && format != WeightFormat.Fp32;

    /// <summary>Whether products run on matrix units at all.</summary>
    public bool HasMatrixUnits => UsesMatrixUnits(family, facts);

    /// <summary>Whether products of a family run on a device's matrix units.</summary>
    public static bool UsesMatrixUnits(LinearFamily family, PhysicalDeviceFacts facts) =>
        family is LinearFamily.Matrix or LinearFamily.MatrixNv && facts.MatrixUnits is not null;

    /// <summary>The matrix units for operands in fp16; null where products do not run on any.</summary>
    public MatrixUnits? MatrixUnits => HasMatrixUnits ? facts.MatrixUnits : null;

    /// <summary>
    /// The matrix units for Int8Linear; null where it uses <see cref="Int8Units.Dot"/> or <see cref="Int8Units.Scalar"/>.
    /// </summary>
    public MatrixUnits? ByteMatrixUnits => HasMatrixUnits ? facts.ByteMatrixUnits : null;

    /// <summary>The matrix units with fp16 operands and fp16 sums; null where products do not run on any.</summary>
    public MatrixUnits? HalfSumUnits => HasMatrixUnits ? facts.HalfSumUnits : null;

    /// <summary>What products on matrix units are summed in, if so asked for.</summary>
    public SumFormat SumsOf(SumFormat wanted) => HalfSumUnits is null ? SumFormat.Fp32 : wanted;

    /// <summary>The matrices of linear_matrix_nv.comp, if that is the family and the device has them.</summary>
    public FlexibleMatrices? Flexible => family == LinearFamily.MatrixNv ? facts.FlexibleMatrices : null;

    /// <summary>Rows after the last of their input that kernels may load; their values do not matter.</summary>
    public int RowsReadBeyond => FlexibleMatrices.MaxDown * (int)(Flexible?.M ?? 0);

    /// <summary>
    /// The kernel of Linear, or of GatedLinear on matrix units, for a product. Which shader follows from the weight's shape and format
    /// alone; the number of rows and what was measured choose among tilings, all of which give the same bits.
    /// </summary>
    public LinearKernel KernelFor(in LinearProduct product)
    {
        if (!UsesMatrixUnitsFor(product.Format)) return (LinearKernel)TilingFor(KeyOf(product));
        bool halfSums = SumsOf(product.Sums) == SumFormat.Fp16;
        if (Flexible is { } flexible && !halfSums && (product.Format is WeightFormat.Fp16 or WeightFormat.Int8)
            && flexible.Takes(product.OutputFeatures))
        {
            (uint down, uint across) = ForcedProducts ?? flexible.ProductsFor(product.OutputFeatures, product.Rows, product.Gated);
            return new LinearKernel("linear_matrix_nv",
                [
                    flexible.Invocations, (uint)flexible.Scope, flexible.M, flexible.N, down, across,
                    (uint)product.Format, product.Gated ? 1u : 0u,
                ],
                (int)(down * flexible.M), (int)(across * flexible.N), flexible.SubgroupSize);
        }

        var tiles = (MatrixTiles)TilingFor(KeyOf(product));
        MatrixUnits units = halfSums ? HalfSumUnits! : facts.MatrixUnits!;
        return new LinearKernel(halfSums ? "linear_half_matrix" : "linear_matrix",
            [.. tiles.Constants(units), (uint)product.Format, product.Gated ? 1u : 0u],
            (int)tiles.Rows, (int)tiles.Features / (product.Gated ? 2 : 1), tiles.SubgroupSize(units));
    }

    /// <summary>The kernel of Int8Linear. All its tilings, and all ways to multiply bytes, give the same bits.</summary>
    public LinearKernel Int8Kernel(Int8Units multiply, in LinearProduct product)
    {
        if (multiply == Int8Units.Matrix)
        {
            MatrixUnits units = ByteMatrixUnits!;
            var tiles = (MatrixTiles)TilingFor(Int8KeyOf(product));
            return new LinearKernel("linear_int8_matrix", [.. tiles.Constants(units), (uint)product.Format],
                (int)tiles.Rows, (int)tiles.Features, tiles.SubgroupSize(units));
        }

        int perInvocation = product.Rows <= 16 ? 1 : product.Rows <= 32 ? 2 : 4;
        string shader = multiply == Int8Units.Dot ? "linear_int8_dot" : "linear_int8";
        return new LinearKernel(shader, [(uint)product.Format, (uint)perInvocation], 16 * perInvocation, 64);
    }

    /// <summary>Products down and across a workgroup of linear_matrix_nv.comp, for any number of rows; for tests.</summary>
    public (uint Down, uint Across)? ForcedProducts { get; set; }

    /// <summary>The tilings that were measured to be fastest.</summary>
    public TileChoices Choices => choices;

    /// <summary>Name of the tiling to use wherever it is a candidate; for measurements and tests.</summary>
    public string? Forced { get; set; }

    /// <summary>Sets <see cref="Forced"/> until the result is disposed.</summary>
    public IDisposable Force(string tiling)
    {
        Forced = tiling;
        return new Release(this);
    }

    /// <summary>The key under which the tiling of a Linear or GatedLinear product is kept.</summary>
    public TilingKey KeyOf(in LinearProduct product) => KeyOf(product, UsesMatrixUnitsFor(product.Format)
        ? SumsOf(product.Sums) == SumFormat.Fp16 ? TiledKernel.HalfMatrix : TiledKernel.Matrix
        : family == LinearFamily.Stream ? TiledKernel.Stream : TiledKernel.Tile);

    /// <summary>The key under which the tiling of an Int8Linear product on matrix units is kept.</summary>
    public static TilingKey Int8KeyOf(in LinearProduct product) => KeyOf(product, TiledKernel.Int8Matrix);

    private static TilingKey KeyOf(in LinearProduct product, TiledKernel kernel)
    {
        // Tiles of matrix units have at least 16 rows, other tiles at least 4.
        bool gated = product.Gated && (kernel is TiledKernel.Matrix or TiledKernel.HalfMatrix);
        TilingKey key = new(kernel, product.Format, gated, product.OutputFeatures, product.InputFeatures, product.Rows);
        int minRows = key.OnMatrixUnits ? 16 : 4;
        return key with { Rows = (int)Math.Clamp(BitOperations.RoundUpToPowerOf2((uint)product.Rows), minRows, 4096) };
    }

    /// <summary>All tilings that the device can run a product with. The first is the default: the one expected to be fastest.</summary>
    public IReadOnlyList<ITiling> Candidates(in TilingKey key)
    {
        // Tiles of matrix units are ordered by how they fill the cores, which the features decide too.
        bool matrix = key.OnMatrixUnits && facts.Cores > 0;
        TilingKey shared = key with { Gated = false, OutputFeatures = matrix ? FeaturesOf(key) : 0, InputFeatures = 0 };
        if (!_candidates.TryGetValue(shared, out IReadOnlyList<ITiling>? candidates))
            _candidates.Add(shared, candidates = shared.Kernel switch
            {
                TiledKernel.Matrix => MatrixTiles.Candidates(facts.MatrixUnits!, MatrixLimits.Of(facts), SizeOf(shared), facts.Cores),
                TiledKernel.HalfMatrix =>
                    MatrixTiles.Candidates(facts.HalfSumUnits!, MatrixLimits.Of(facts), SizeOf(shared), facts.Cores),
                TiledKernel.Int8Matrix =>
                    MatrixTiles.Candidates(facts.ByteMatrixUnits!, MatrixLimits.Of(facts), SizeOf(shared), facts.Cores, bytes: true),
                TiledKernel.Stream => StreamTilings(shared.Format, shared.Rows),
                _ => TileTilings(shared.Format, shared.Rows),
            });
        return candidates;

        static int FeaturesOf(in TilingKey key) => key.Gated ? 2 * key.OutputFeatures : key.OutputFeatures;

        static ProductSize SizeOf(in TilingKey shared) => new(shared.Rows, shared.OutputFeatures);
    }

    /// <summary>Those products for which no choice is kept.</summary>
    public IReadOnlyList<LinearProduct> Untuned(IEnumerable<LinearProduct> products) =>
        [.. products.Where(p => choices[KeyOf(p)] is null)];

    /// <summary>Chooses the tiling of products from now on.</summary>
    public void Choose(in TilingKey key, string name)
    {
        choices[key] = name;
        _inUse.Remove(key);
    }

    /// <summary>The tiling that was chosen if the device can run it, else the default.</summary>
    private ITiling TilingFor(in TilingKey key)
    {
        if (Forced is { } forced && Candidates(key).FirstOrDefault(c => c.Name == forced) is { } wanted) return wanted;
        if (!_inUse.TryGetValue(key, out ITiling? tiling))
        {
            string? chosen = choices[key];
            _inUse.Add(key, tiling = Candidates(key).FirstOrDefault(c => c.Name == chosen) ?? Candidates(key)[0]);
        }

        return tiling;
    }

    private IReadOnlyList<ITiling> StreamTilings(WeightFormat format, int rows)
    {
        // 16 rows amortize the loads of a weight; fewer rows must not pay for 16. linear_stream.comp explains the number of features.
        int likely = Math.Min(rows, 16);
        return
        [
            .. from height in new[] { 16, 8, 4 }.OrderBy(h => h != likely)
               from features in new[] { 4, 2, 1 }
               select new LinearKernel("linear_stream", [facts.SubgroupSize, (uint)format, (uint)height, (uint)features],
                   height, (int)facts.SubgroupSize * features, InBands: false),
        ];
    }

    private static IReadOnlyList<ITiling> TileTilings(WeightFormat format, int rows)
    {
        int likely = Math.Clamp(rows / 16, 1, 4);
        return
        [
            .. from perInvocation in new[] { 4, 2, 1 }.OrderBy(p => p != likely)
               select new LinearKernel("linear_tile", [(uint)format, (uint)perInvocation], 16 * perInvocation, 64, InBands: false),
        ];
    }

    private sealed class Release(LinearKernels kernels) : IDisposable
    {
        public void Dispose() => kernels.Forced = null;
    }
}
