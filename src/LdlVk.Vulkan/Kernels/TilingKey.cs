using LdlVk.Runtime.Devices;

namespace LdlVk.Vulkan.Kernels;

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
