using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>The goldens under the limits of real devices: a software driver that is made to look like each of them.</summary>
public sealed class DeviceProfileTests(ITestOutputHelper output) : GoldenComparison(output)
{
    public static TheoryData<string> Profiles => [.. TestDevices.Imposed.Keys];

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Profiles))]
    public void Goldens_pass_within_the_limits_of_a_device(string device)
    {
        CompareFp32(device, Goldens.Read("a_f32_sliding"));
        double fp16 = ErrorRatio(device, Goldens.Read("c_bf16_outliers"), WeightFormat.Fp16, WeightFormat.Fp32);
        Assert.True(fp16 <= 0.3, $"{device}: fp16's mean score error is {fp16:F3} of bf16's");
        double int8 = ErrorRatio(device, Goldens.Read("b_bf16_sharded"), WeightFormat.Int8, WeightFormat.Fp32, ComputeMode.Int8);
        Assert.True(int8 <= 4, $"{device}: W8A8's mean score error is {int8:F2} times bf16's");
        Assert.True(TestDevices.Imposed[device].Kernels > 10);
        Assert.Empty(TestDevices.Imposed[device].Violations);
    }
}
