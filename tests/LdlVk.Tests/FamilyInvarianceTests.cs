using LdlVk.Testing;
using Xunit;

namespace LdlVk.Tests;

/// <summary>As <see cref="InvarianceTests"/>, for every family of tests/data/families.</summary>
[Trait("Wine", "DirectML")]
public sealed class FamilyInvarianceTests : DeviceTest
{
    /// <summary>
    /// Every family on the processor and on one other device. Formats and devices take turns, so that all are there: a family's own part is
    /// host code, and its kernels are held to this by the conformance tests on every device. 25 batches of all families on all devices
    /// took 8 minutes.
    /// </summary>
    public static TheoryData<string, string, WeightFormat, ComputeMode> Families
    {
        get
        {
            (WeightFormat, ComputeMode)[] turns =
                [(WeightFormat.Fp32, ComputeMode.Auto), (WeightFormat.Int8, ComputeMode.Int8), (WeightFormat.Fp16, ComputeMode.Auto)];
            string[] devices = [.. TestDevices.ForModels.Where(id => !id.EndsWith(" tile", StringComparison.Ordinal))];
            string[] processors = [.. devices.Where(id => id == "cpu")], others = [.. devices.Except(processors)];
            TheoryData<string, string, WeightFormat, ComputeMode> data = [];
            foreach ((int index, string name) in FamilyGoldens.Cases.Index())
            {
                (WeightFormat format, ComputeMode compute) = turns[index % turns.Length];
                string[] other = others.Length == 0 ? [] : [others[index % others.Length]];
                foreach (string device in (string[])[.. processors, .. other]) data.Add(device, name, format, compute);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Scores_of_families_do_not_depend_on_the_batch(string device, string name, WeightFormat format, ComputeMode compute) =>
        InvarianceTests.Compare(device, FamilyGoldens.Read(name), vocabulary: 240, format, compute, samples: InvarianceTests.IsSlow(device) ? 4 : 10);
}
