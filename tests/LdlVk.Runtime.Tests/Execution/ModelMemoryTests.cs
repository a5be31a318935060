using LdlVk.Runtime.Devices;
using Xunit;

namespace LdlVk.Runtime.Tests.Execution;

public sealed class ModelMemoryTests
{
    /// <summary>32 elements: 128, 64, 34 and 18 bytes.</summary>
    [Fact]
    public void A_group_takes_4_5_bits_an_element_in_int4() => Assert.Equal(
        [128L, 64L, 34L, 18L], Enum.GetValues<WeightFormat>().Select(format => WeightLayout.MatrixBytes(format, 1, 1)));
}
