using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>Sums in fp16 on the goldens, on devices that have them: DirectML's do not.</summary>
public sealed class HalfSumGoldenTests(ITestOutputHelper output) : GoldenComparison(output)
{
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(SummingDevices))]
    public void Sums_in_fp16_cost_a_third_of_bf16_at_most(string device) => CompareHalfSums(device, Goldens.Cases, Goldens.Read);

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(SummingDevices))]
    public void And_with_the_families(string device) => CompareHalfSums(device, FamilyGoldens.Cases, FamilyGoldens.Read);
}
