namespace LdlVk.Vulkan.Kernels;

/// <summary>Kernels with several tilings. Their names, in lower case, stand in the files of <see cref="TileChoices"/>.</summary>
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
    /// <summary>linear_half_matrix.comp.</summary>
    HalfMatrix,
}

/// <summary>The key of products that use the same tiling.</summary>
/// <param name="Kernel">The kernel that the tiling belongs to.</param>
/// <param name="Format">Format of the weight.</param>
/// <param name="Gated">Whether gate and up are computed in one kernel, which only matrix units do.</param>
/// <param name="OutputFeatures">Rows of the weight.</param>
/// <param name="InputFeatures">Columns of the weight.</param>
/// <param name="Rows">The largest number of input rows: a power of two, since each choice is a pipeline to compile.</param>
internal readonly record struct TilingKey(
    TiledKernel Kernel, WeightFormat Format, bool Gated, int OutputFeatures, int InputFeatures, int Rows)
{
    /// <summary>Whether the kernel runs on matrix units.</summary>
    public bool OnMatrixUnits => Kernel is TiledKernel.Matrix or TiledKernel.Int8Matrix or TiledKernel.HalfMatrix;
}
