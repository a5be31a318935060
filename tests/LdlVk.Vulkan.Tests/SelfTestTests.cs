using System.Text.Json;
using LdlVk.Runtime.Devices;
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
        IReadOnlyList<CheckResult> halfSums = DeviceSelfTest.HalfSums(device);
        Assert.Equal(device.Info.SumsHalves, halfSums.Count > 0);
        Assert.All(halfSums, check => Assert.Null(check.Fault));
    }

    /// <summary>On every family: rates that are finite, and of each kind of product at most one.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Families))]
    public void Units_are_measured_by_themselves(int index, string family)
    {
        using VulkanDevice device = OpenFamily(index, family);
        IReadOnlyList<PeakRate> peaks = device.MeasurePeaks();
        Assert.All(peaks, peak => Assert.InRange(peak.OperationsPerSecond, 1e6, 1e16));
        Assert.Equal(peaks.Count, peaks.Select(peak => (peak.Bytes, peak.Sums)).Distinct().Count());
        Assert.Equal(device.Info.SumsHalves, peaks.Any(peak => peak.Sums == SumFormat.Fp16));
        Assert.Contains(peaks, peak => !peak.Bytes && peak.Units == (family == nameof(LinearFamily.Matrix) ? "fp16 matrix units" : "fp32 arithmetic"));
    }

    /// <summary>The driver's own words reach the report: limits by Vulkan's names, and what the device was opened with.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void A_device_is_described(int index)
    {
        using VulkanDevice device = Open(index);
        using MemoryStream stream = new();
        using (Utf8JsonWriter json = new(stream))
        {
            json.WriteStartObject();
            device.Describe(json);
            json.WriteEndObject();
        }

        JsonElement described = JsonElement.Parse(stream.ToArray());
        JsonElement limits = described.GetProperty("limits");
        Assert.Equal(device.Resources.Facts.SharedBytes, limits.GetProperty("maxComputeSharedMemorySize").GetUInt32());
        Assert.Equal(3, limits.GetProperty("maxComputeWorkGroupSize").GetArrayLength());
        Assert.True(limits.EnumerateObject().Count() > 100);
        Assert.True(described.GetProperty("features").GetProperty("bufferDeviceAddress").GetBoolean());
        Assert.Contains(described.GetProperty("extensions").EnumerateArray(), e => e.GetString()!.StartsWith("VK_", StringComparison.Ordinal));
        Assert.Equal(device.Resources.Facts.MatrixUnits is not null, described.GetProperty("cooperative_matrices").GetArrayLength() > 0);
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
                // Sums in fp16 have a test of their own.
                IReadOnlyList<CheckResult> checks = kernel == "linear_half_matrix" ? DeviceSelfTest.HalfSums(device)
                    : DeviceSelfTest.Run(device, quick: true, untilFault: true);
                bool isFound = checks.Any(check => check.Fault is not null);
                if (driver.Compiled == 0) continue;
                if (isFound) found++;
                else missed.Add($"{kernel} with {fault}");
            }
        }

        Assert.Empty(missed);
        Assert.True(found >= (matrix ? 8 : 30), $"only {found} faults were tried");
    }

    private static LinearFamily FamilyOf(string kernel) =>
        kernel.EndsWith("_stream", StringComparison.Ordinal) ? LinearFamily.Stream
        : kernel.EndsWith("_matrix", StringComparison.Ordinal) || kernel is "halve_rows" or "halve_heads" ? LinearFamily.Matrix
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
