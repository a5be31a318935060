using LdlVk.SelfTest;
using LdlVk.Testing;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;

namespace LdlVk.Vulkan.Tests;

/// <summary>The self-test passes on drivers that are right, and finds every kernel that a driver compiles wrongly.</summary>
public sealed class SelfTestTests : VulkanTest
{
    public static TheoryData<int, string> Families =>
        [.. Drivers.SelectMany(d => Enum.GetNames<LinearFamily>().Where(f => f != nameof(LinearFamily.MatrixNv)).Select(f => (d.Data, f)))];

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Families))]
    public void A_right_driver_passes(int index, string family)
    {
        using VulkanDevice device = OpenFamily(index, family);
        IReadOnlyList<CheckResult> checks = DeviceSelfTest.Run(device, quick: true);
        Assert.InRange(checks.Count, 35, 100);
        Assert.All(checks, check => Assert.Null(check.Fault));
        Assert.Contains(checks, check => check.Worst > 0.01);
    }

    /// <summary>
    /// Each kernel with each fault that it can have, on the fastest driver: what matters is whether the checks reach all that a kernel does.
    /// Where there are matrix units, only their kernels, since drivers without them find the others.
    /// </summary>
    [Fact]
    public void Every_wrong_kernel_is_found()
    {
        Assert.SkipWhen(Drivers.Count == 0, "no Vulkan driver here");
        int index = VulkanBackend.Enumerate().Count - 1;
        List<string> missed = [];
        // Right kernels are compiled once.
        using TempFolder cache = new();
        int found = 0;
        bool matrix = VulkanBackend.Enumerate()[index].Features.Any(feature => feature.StartsWith("matrix ", StringComparison.Ordinal));
        foreach (string kernel in BrokenKernels.Names.Where(name => name != "fill_random" && (FamilyOf(name) == LinearFamily.Matrix) == matrix))
        {
            foreach (KernelFault fault in Enum.GetValues<KernelFault>().Where(f => BrokenKernels.CanHave(kernel, f)))
            {
                BrokenKernels driver = new(kernel, fault);
                using VulkanDevice device = Open(index, driver.Load, cache.Path, FamilyOf(kernel));
                IReadOnlyList<CheckResult> checks = DeviceSelfTest.Run(device, quick: true, untilFault: true);
                if (driver.Compiled == 0) continue;
                if (checks.Any(check => check.Fault is not null)) found++;
                else missed.Add($"{kernel} with {fault}");
            }
        }

        Assert.Empty(missed);
        Assert.True(found >= (matrix ? 8 : 30), $"only {found} faults were tried");
    }

    private static LinearFamily FamilyOf(string kernel) =>
        kernel.EndsWith("_stream", StringComparison.Ordinal) ? LinearFamily.Stream
        : kernel.EndsWith("_matrix", StringComparison.Ordinal) || kernel == "halve_rows" ? LinearFamily.Matrix
        : LinearFamily.Tile;

    private static VulkanDevice OpenFamily(int index, string family)
    {
        VulkanDevice device = Open(index, cacheFolder: CacheFile.DefaultFolder, linear: Enum.Parse<LinearFamily>(family));
        if (family != nameof(LinearFamily.Matrix) || device.Resources.LinearKernels.HasMatrixUnits) return device;
        device.Dispose();
        Assert.Skip("the driver has no matrix units");
        return device;
    }
}
