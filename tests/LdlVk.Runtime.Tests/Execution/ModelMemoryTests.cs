using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Runtime.Tests.Execution;

public sealed class ModelMemoryTests
{
    private const int BatchTokens = 64;

    /// <summary>As memory shrinks: what the checkpoint holds, then the next smaller, int4 last, then an error that says what is needed.</summary>
    [Theory]
    [InlineData("a_f32_sliding", WeightFormat.Fp32)]
    [InlineData("b_bf16_sharded", WeightFormat.Fp16)]
    public void Automatic_weights_are_the_best_that_fit(string name, WeightFormat first)
    {
        using Checkpoint checkpoint = Checkpoint.Open(Repository.Path("tests", "data", "goldens", name));
        Assert.Equal(first, Choose(long.MaxValue));
        for (WeightFormat format = first; format < WeightFormat.Int4; format++)
        {
            Assert.Equal(format, Choose(Needed(format)));
            Assert.Equal(format + 1, Choose(Needed(format) - 2));
        }

        Assert.Equal(WeightFormat.Int4, Choose(Needed(WeightFormat.Int4)));
        string message = Assert.Throws<DeviceException>(() => Choose(Needed(WeightFormat.Int4) - 2)).Message;
        Assert.Contains("int4 weights", message, StringComparison.Ordinal);

        // The least free memory in which a format fits: 92 % of it are used.
        long Needed(WeightFormat format) =>
            (long)Math.Ceiling(ModelMemory.Of(checkpoint.Config, checkpoint.Head, format, WeightFormat.Fp32).Total(BatchTokens) / 0.92);

        WeightFormat Choose(long free) =>
            ModelMemory.Choose(checkpoint, new DeviceInfo("fake:0", "fake", DeviceKind.DiscreteGpu, "none", free, free, []), WeightFormat.Fp32, BatchTokens);
    }

    /// <summary>32 elements: 128, 64, 34 and 18 bytes.</summary>
    [Fact]
    public void A_group_takes_4_5_bits_an_element_in_int4() => Assert.Equal(
        [128L, 64L, 34L, 18L], Enum.GetValues<WeightFormat>().Select(format => WeightLayout.MatrixBytes(format, 1, 1)));
}
