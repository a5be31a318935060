using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>Every golden on every device and in every format, within the bars that tests/data/goldens/sensitivity.json justifies.</summary>
[Trait("Wine", "Together")]
public sealed class GoldenTests(ITestOutputHelper output) : GoldenComparison(output)
{
    [Theory]
    [MemberData(nameof(DevicesAndCases))]
    public void Fp32_scores_and_hidden_states(string device, string name) => CompareFp32(device, Goldens.Read(name));

    [Theory]
    [MemberData(nameof(Devices))]
    public void Fp16_weights_cost_a_third_of_bf16_at_most(string device)
    {
        foreach (string name in Goldens.Cases)
        {
            double ratio = ErrorRatio(device, Goldens.Read(name), WeightFormat.Fp16, WeightFormat.Fp32);
            Assert.True(ratio <= 0.3, $"{device} {name}: fp16's mean score error is {ratio:F3} of bf16's");
        }
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Int8_weights_stay_near_bf16(string device)
    {
        double product = 1;
        string[] names = [.. Goldens.Cases];
        foreach (string name in names)
        {
            double ratio = ErrorRatio(device, Goldens.Read(name), WeightFormat.Int8, WeightFormat.Fp32);
            Assert.True(ratio <= 4, $"{device} {name}: int8's mean score error is {ratio:F2} times bf16's");
            product *= ratio;
        }

        double mean = Math.Pow(product, 1.0 / names.Length);
        Output.WriteLine($"{device}: geometric mean {mean:F3}");
        Assert.True(mean <= 1.5, $"{device}: int8's mean score error is {mean:F2} times bf16's in the geometric mean");
    }

    /// <summary>
    /// On Gaussian weights int4 rounds 15.3 times as coarsely as int8 (7.49 % against 0.49 % of their root mean square), so that its score
    /// errors would be 15.3 times int8's if scores were linear in the weights: above 21 of bf16, where int8 measured worst (1.39), something is
    /// wrong. Errors of this size saturate: measured 2.0 to 14.6, 8.5 in the geometric mean (6.9 of the LDL models, where even steps measured 12.9:
    /// the bar on the mean keeps them out).
    /// </summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Int4_weights_err_as_their_rounding_does(string device)
    {
        double product = 1;
        string[] names = [.. Goldens.Cases];
        foreach (string name in names)
        {
            double ratio = ErrorRatio(device, Goldens.Read(name), WeightFormat.Int4, WeightFormat.Fp32);
            Assert.True(ratio <= 21, $"{device} {name}: int4's mean score error is {ratio:F2} times bf16's");
            product *= ratio;
        }

        double mean = Math.Pow(product, 1.0 / names.Length);
        Output.WriteLine($"{device}: geometric mean {mean:F3}");
        Assert.True(mean <= 10, $"{device}: int4's mean score error is {mean:F2} times bf16's in the geometric mean");
    }

    /// <summary>
    /// Rounding activations to 8 bits errs by 0.5 % of their root mean square (2.1/127/√12: half steps of the largest of 32 normal numbers),
    /// weights by 0.49 %: together 1.43 times what int8 weights alone do, and the bars are 1.43 times theirs. Measured 1.1 to 3.4, 1.6 to 1.7
    /// in the geometric mean, as the last bits of other ops decide roundings.
    /// </summary>
    [Theory]
    [MemberData(nameof(Devices))]
    public void Int8_compute_errs_as_its_rounding_does(string device)
    {
        double product = 1;
        string[] names = [.. Goldens.Cases];
        foreach (string name in names)
        {
            double ratio = ErrorRatio(device, Goldens.Read(name), WeightFormat.Int8, WeightFormat.Fp32, ComputeMode.Int8);
            Assert.True(ratio <= 5.7, $"{device} {name}: int8 compute's mean score error is {ratio:F2} times bf16's");
            product *= ratio;
        }

        double mean = Math.Pow(product, 1.0 / names.Length);
        Output.WriteLine($"{device}: geometric mean {mean:F3}");
        Assert.True(mean <= 2.1, $"{device}: int8 compute's mean score error is {mean:F2} times bf16's in the geometric mean");
    }

    [Theory]
    [MemberData(nameof(Devices))]
    public void Heads_in_fp16_and_int8_stay_near_fp32(string device)
    {
        foreach (string name in Goldens.Cases)
        {
            // The heads are a small part of the model: their rounding must cost less than the backbone's.
            Assert.True(ErrorRatio(device, Goldens.Read(name), WeightFormat.Fp32, WeightFormat.Fp16) <= 0.3, $"{device} {name}: fp16 heads");
            Assert.True(ErrorRatio(device, Goldens.Read(name), WeightFormat.Fp32, WeightFormat.Int8) <= 4, $"{device} {name}: int8 heads");
        }
    }
}
