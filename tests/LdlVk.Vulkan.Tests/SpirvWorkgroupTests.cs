using LdlVk.Testing;
using LdlVk.Vulkan.Kernels;

namespace LdlVk.Vulkan.Tests;

/// <summary>What kernels take of a workgroup's resources, as the tests under the limits of real devices read it off them.</summary>
public sealed class SpirvWorkgroupTests
{
    /// <summary>The bytes follow from the arrays in the sources, by hand.</summary>
    [Fact]
    public void Size_and_shared_memory_follow_from_the_sources()
    {
        // attention.comp: queries and keys or values of a tile, weights, with padding.
        SpirvWorkgroup attention = Read("attention", 128, 32);
        Assert.InRange(attention.SharedBytes, (16 + 32) * 128 * 4u, KernelLimits.SharedMemoryBytes);
        Assert.True(Read("attention", 64, 32).SharedBytes < attention.SharedBytes);
        Assert.Equal(KernelLimits.WorkgroupInvocations, Read("linear_tile", 0, 4).Threads);
        // attention_matrix.comp: its first constant is the number of invocations.
        Assert.Equal(96u, Read("attention_matrix", 96, 32, 16, 16, 16, 128, 32, 1, 0).Threads);
    }

    /// <summary>No kernel that every device must run takes more than the backend requires.</summary>
    [Theory]
    [InlineData("attention", 256u, 8u)]
    [InlineData("attention", 128u, 32u)]
    [InlineData("linear_tile", 0u, 4u)]
    [InlineData("linear_int8", 2u, 4u)]
    [InlineData("linear_int8_dot", 2u, 4u)]
    [InlineData("rms_norm")]
    [InlineData("add_norm")]
    [InlineData("head_norm")]
    [InlineData("rope")]
    [InlineData("quantize_rows")]
    public void Portable_kernels_stay_within_what_is_required_of_a_device(string kernel, params uint[] constants)
    {
        SpirvWorkgroup taken = Read(kernel, constants);
        Assert.InRange(taken.Threads, 2u, KernelLimits.WorkgroupInvocations);
        Assert.InRange(taken.SharedBytes, 0u, KernelLimits.SharedMemoryBytes);
    }

    private static SpirvWorkgroup Read(string kernel, params uint[] constants) =>
        new(File.ReadAllBytes(Repository.Path("shaders", "spirv", $"{kernel}.spv")),
            constants.Select((value, index) => ((uint)index, value)).ToDictionary());
}
