namespace LdlVk.Vulkan.Kernels;

/// <summary>What multiplies bytes in Int8Linear. All give the same bits.</summary>
internal enum Int8Units
{
    /// <summary>linear_int8.comp: ordinary integer arithmetic.</summary>
    Scalar,
    /// <summary>linear_int8_dot.comp: one instruction for four products and their sum (VK_KHR_shader_integer_dot_product).</summary>
    Dot,
    /// <summary>linear_int8_matrix.comp: matrix units.</summary>
    Matrix,
}
