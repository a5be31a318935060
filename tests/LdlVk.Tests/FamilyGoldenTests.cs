using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>Every family of tests/data/families on every device and in every format.</summary>
[Trait("Wine", "DirectML")]
public sealed class FamilyGoldenTests(ITestOutputHelper output) : GoldenComparison(output)
{
    public static TheoryData<string, string> DevicesAndFamilies
    {
        get
        {
            TheoryData<string, string> data = [];
            foreach (string device in TestDevices.ForModels)
                foreach (string name in FamilyGoldens.Cases) data.Add(device, name);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(DevicesAndFamilies))]
    public void Fp32_scores_and_hidden_states(string device, string name) => CompareFp32(device, FamilyGoldens.Read(name));

    [Theory]
    [MemberData(nameof(Devices))]
    public void Fp16_weights_cost_a_third_of_bf16_at_most(string device)
    {
        foreach (string name in FamilyGoldens.Cases)
        {
            double ratio = ErrorRatio(device, FamilyGoldens.Read(name), WeightFormat.Fp16, WeightFormat.Fp32);
            Assert.True(ratio <= 0.3, $"{device} {name}: fp16's mean score error is {ratio:F3} of bf16's");
        }
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Int8_weights_stay_near_bf16(string device)
    {
        double product = 1;
        foreach (string name in FamilyGoldens.Cases)
        {
            double ratio = ErrorRatio(device, FamilyGoldens.Read(name), WeightFormat.Int8, WeightFormat.Fp32);
            Assert.True(ratio <= 4, $"{device} {name}: int8's mean score error is {ratio:F2} times bf16's");
            product *= ratio;
        }

        double mean = Math.Pow(product, 1.0 / FamilyGoldens.Cases.Count);
        Output.WriteLine($"{device}: geometric mean {mean:F3}");
        Assert.True(mean <= 1.5, $"{device}: int8's mean score error is {mean:F2} times bf16's in the geometric mean");
    }
}
