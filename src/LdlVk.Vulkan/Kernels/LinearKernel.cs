namespace LdlVk.Vulkan.Kernels;

/// <summary>A way to cut a product into workgroups. All tilings of a kernel give the same bits.</summary>
internal interface ITiling
{
    /// <summary>Its name, unique within its kernel; <see cref="TileChoices"/> keeps it.</summary>
    string Name { get; }
}

/// <summary>One way to run Linear or Int8Linear: a shader, its specialization constants and the tile a workgroup computes.</summary>
/// <param name="Shader">The shader's name.</param>
/// <param name="Constants">Its specialization constants.</param>
/// <param name="Rows">Rows of a workgroup's tile.</param>
/// <param name="Features">Output features of the tile, an even number; for a gated product, pairs of a gate's and an up's feature.</param>
/// <param name="SubgroupSize">The subgroup size that the shader needs; 0 leaves it to the driver.</param>
/// <param name="InBands">Whether x counts the row tiles of a band, and z the bands; else x counts all row tiles.</param>
internal sealed record LinearKernel(
    string Shader, uint[] Constants, int Rows, int Features, uint SubgroupSize = 0, bool InBands = true) : ITiling
{
    public string Name { get; } = $"{Rows}x{Features}";
}
