using LdlVk.Testing;
using LdlVk.Vulkan.Device;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Tests;

/// <summary>Which kernels run on which device and driver, and which drivers are for the same card.</summary>
public sealed class DriverRuleTests : VulkanTest
{
    private const string Portable = DeviceInfo.PortableKernels, Matrix = "matrix units", NotAttention = "matrix units but for attention";

    public static TheoryData<string, string, string> Expected => new()
    {
        { "RX 580 Series (RADV", Portable, "no matrix units" },
        { "RX 6800,", Portable, "on cards that have none" },
        { "RX 7900 XTX,", Matrix, "the driver offers products" },
        { "RX 7900 XTX (RADV", Matrix, "the driver offers products" },
        { "860M", Portable, "crashes on integrated GPUs" },
        { "A770", Portable, "first Arc cards" },
        { "B580 Graphics,", Matrix, "the driver offers products" },
        { "B580 Graphics (BMG", NotAttention, "Mesa since 26.1" },
        { "B390", Portable, "Xe3" },
        { "Iris", Portable, "no matrix units" },
        { "2060", NotAttention, "Turing" },
        { "4090", Matrix, "the driver offers products" },
        { "Adreno", Portable, "no matrix units" },
    };

    [Theory]
    [MemberData(nameof(Expected))]
    public void A_devices_kernels_follow_from_what_is_known_of_its_driver(string profile, string kernels, string why)
    {
        DeviceInfo device = Look(Claimed(Profile(profile)))[0];
        Assert.Equal(kernels, device.Kernels);
        Assert.Contains(why, device.WhyKernels);
        Assert.Equal(kernels == Portable, device.MatrixOperandBytes == 0);
    }

    /// <summary>Each profile is expected to do something, and each rule is about one of them or the one below.</summary>
    [Fact]
    public void Every_profile_and_every_rule_is_tested()
    {
        Assert.Equal(DeviceProfile.All.Count, Expected.Count);
        Assert.All(Expected, row => Profile(row.Data.Item1));
        DriverIdentity b70 = new(0x8086, 0xe223, DriverId.IntelProprietaryWindows, 0, DeviceKind.DiscreteGpu, 16, HasMixedDot: true);
        DriverRule?[] found = [.. Expected.Select(row => RuleOf(Profile(row.Data.Item1))), DriverRule.For(b70)];
        Assert.All(DriverRule.All, rule => Assert.Contains(rule, found));
        Assert.All(DriverRule.All, rule => Assert.StartsWith("https://", rule.Source));
    }

    [Fact]
    public void The_documentation_lists_the_rules()
    {
        string[] rows = [.. File.ReadLines(Repository.Path("docs", "devices.md")).Where(line => line.StartsWith("| anything |", StringComparison.Ordinal)
            || line.StartsWith("| attention |", StringComparison.Ordinal))];
        Assert.Equal(DriverRule.All.Count, rows.Length);
        foreach ((DriverRule rule, string row) in DriverRule.All.Zip(rows))
        {
            Assert.Contains($"| {(rule.Use == MatrixUse.None ? "anything" : "attention")} | {rule.Why} |", row);
            Assert.Contains($"({rule.Source})", row);
        }
    }

    /// <summary>AMD's driver crashes in the query itself.</summary>
    [Fact]
    public void A_driver_without_usable_matrix_units_is_not_asked_for_them()
    {
        ImposedVulkan amd = Claimed(Profile("860M")), asked = Claimed(Profile("4090"));
        Look(amd);
        Look(asked);
        Assert.False(amd.AskedForMatrices);
        Assert.True(asked.AskedForMatrices);
        ImposedVulkan portable = Claimed(Profile("4090"));
        Assert.Equal(Portable, Look(portable, KernelChoice.Portable)[0].Kernels);
        Assert.False(portable.AskedForMatrices);
    }

    [Fact]
    public void Matrix_units_that_are_asked_for_are_used_whatever_the_rules_say()
    {
        foreach (string name in (string[])["860M", "A770", "2060", "B390", "RX 6800"])
        {
            DeviceInfo device = Look(Claimed(Profile(name)), KernelChoice.Matrix)[0];
            Assert.Equal((Matrix, "as asked for", KernelChoice.Matrix), (device.Kernels, device.WhyKernels, device.KernelChoice));
        }

        Assert.Equal(Portable, Look(Claimed(Profile("Iris")), KernelChoice.Matrix)[0].Kernels);
    }

    /// <summary>The layered driver of Windows is listed before or after the card's own.</summary>
    [Fact]
    public void A_card_behind_two_drivers_counts_once()
    {
        DeviceProfile own = Profile("RX 6800,"), other = Profile("4090") with { Bus = 5 };
        DeviceProfile layered = own with { Name = "Microsoft Direct3D12 (AMD Radeon RX 6800)", Driver = DriverId.MesaDozen, Matrix = null, Bus = 0 };
        Assert.Equal([null, null, "vulkan:0"], Look(Claimed(own, other, layered)).Select(d => d.SameCardAs));
        Assert.Equal(["vulkan:1", null, null], Look(Claimed(layered, own, other)).Select(d => d.SameCardAs));
        // Mesa's and AMD's own driver: the loader's order counts.
        DeviceProfile mesa = own with { Driver = DriverId.MesaRadv, Card = 1 };
        Assert.Equal([null, "vulkan:0"], Look(Claimed(mesa, own)).Select(d => d.SameCardAs));
        // Two cards of one kind are two cards.
        Assert.Equal([null, null], Look(Claimed(own, own with { Bus = 4 })).Select(d => d.SameCardAs));
    }

    private static DeviceProfile Profile(string name) => DeviceProfile.All.Single(profile => profile.ToString().Contains(name, StringComparison.Ordinal));

    private static DriverRule? RuleOf(DeviceProfile p) => DriverRule.For(new DriverIdentity(
        p.Vendor, p.Card, p.Driver, p.Version, p.Type == PhysicalDeviceType.DiscreteGpu ? DeviceKind.DiscreteGpu : DeviceKind.IntegratedGpu,
        p.Subgroups.Min, p.MixedDot));

    private static ImposedVulkan Claimed(params DeviceProfile[] profiles)
    {
        Assert.SkipWhen(Drivers.Count == 0, "no Vulkan driver here to imitate devices with");
        return new ImposedVulkan(profiles, claims: true);
    }

    private static IReadOnlyList<DeviceInfo> Look(ImposedVulkan vulkan, KernelChoice kernels = KernelChoice.Auto) =>
        VulkanBackend.Enumerate(vulkan.Load, out _, kernels);
}
