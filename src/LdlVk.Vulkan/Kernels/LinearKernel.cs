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
