namespace LdlVk.Vulkan;

/// <summary>One way to run Attention.</summary>
/// <param name="Shader">The shader's name.</param>
/// <param name="Constants">Its specialization constants.</param>
internal readonly record struct AttentionKernel(string Shader, uint[] Constants);

/// <summary>
/// Chooses the kernel of Attention. Its family is that of Linear and follows from the device's features alone; the families differ in the
/// order of sums, and so in bits.
/// </summary>
internal sealed class AttentionKernels(LinearFamily family, uint subgroupSize)
{
    /// <summary>Query rows that one workgroup handles.</summary>
    public int QueryBlock => family == LinearFamily.Stream ? (int)subgroupSize : 16;

    /// <summary>The kernel for a head dimension.</summary>
    public AttentionKernel For(int headDimension)
    {
        if (family == LinearFamily.Stream) return new AttentionKernel("attention_stream", [subgroupSize, (uint)headDimension]);

        // Tiles that fill, but do not pass, KernelLimits.SharedMemoryBytes.
        uint keysPerTile = headDimension <= 128 ? 32u : 8u;
        return new AttentionKernel("attention", [(uint)headDimension, keysPerTile]);
    }
}
