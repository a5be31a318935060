namespace LdlVk.Vulkan.Kernels;

/// <summary>Which shader family a device runs Linear with.</summary>
internal enum LinearFamily
{
    /// <summary>linear_tile.comp: shared-memory tiles, for GPUs.</summary>
    Tile,
    /// <summary>linear_stream.comp: register tiles and subgroup broadcasts, for drivers on a processor.</summary>
    Stream,
    /// <summary>
    /// linear_matrix.comp: matrix units with fp16 operands. fp32 weights, which they would round, use <see cref="Tile"/>.
    /// </summary>
    Matrix,
    /// <summary>
    /// linear_matrix_nv.comp: fp16 and int8 weights on matrices of flexible size; other weights use <see cref="Matrix"/>. Chosen only by
    /// name: it has not been measured on a GPU yet.
    /// </summary>
    MatrixNv,
}
