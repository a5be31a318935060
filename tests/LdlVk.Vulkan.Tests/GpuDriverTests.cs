using System.Runtime.InteropServices;

namespace LdlVk.Vulkan.Tests;

/// <summary>
/// Mesa's drivers for graphics cards, without the cards: its drm-shim libraries answer in place of the operating system's kernel and compute
/// nothing. The drivers compile our kernels, and with the validation layer on, our use of their features, queues and memory types is
/// checked. Results mean nothing there.
/// </summary>
public sealed class GpuDriverTests
{
    /// <summary>Cards: name, preloaded shim, variable that selects the card, its value, driver, and whether it has matrix units.</summary>
    public static TheoryData<string, string, string, string, string, bool> Cards => new()
    {
        { "Radeon RX 6900 XT", "amdgpu", "AMDGPU_GPU_ID", "navi21", "radeon", false },
        { "Radeon RX 7900 XTX", "amdgpu", "AMDGPU_GPU_ID", "navi31", "radeon", true },
        { "Radeon RX 9070 XT", "amdgpu", "AMDGPU_GPU_ID", "gfx1201", "radeon", true },
        { "GeForce RTX 20", "nouveau", "NOUVEAU_CHIPSET", "164", "nouveau", true },
        { "GeForce RTX 40", "nouveau", "NOUVEAU_CHIPSET", "194", "nouveau", true },
        { "GeForce RTX 50", "nouveau", "NOUVEAU_CHIPSET", "1b2", "nouveau", true },
        { "Adreno 740", "freedreno", "FD_GPU_ID", "740", "freedreno", false },
    };

    [Theory]
    [MemberData(nameof(Cards))]
    public async Task A_cards_driver_compiles_all_kernels_without_spills(string card, string shim, string variable, string value, string driver, bool matrixUnits)
    {
        string library = $"/usr/lib/{(RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "aarch64" : "x86_64")}-linux-gnu/lib{shim}_noop_drm_shim.so";
        string icd = $"/usr/share/vulkan/icd.d/{driver}_icd.json";
        Assert.SkipUnless(File.Exists(library) && File.Exists(icd), $"{card}: needs the package mesa-drm-shim and a driver of its version, as the lab has them (eng/lab)");
        // NVK starts only if it is asked for.
        (int exitCode, string output) = await VulkanChild.Run("gpu 1 64 1024", ("LD_PRELOAD", library), (variable, value), ("VK_DRIVER_FILES", icd), ("NVK_I_WANT_A_BROKEN_VULKAN_DRIVER", "1"));
        Assert.True(exitCode == 0, output);
        Assert.Contains($"kernels, matrix units: {matrixUnits}", output);
        Assert.Contains("Int4: 256 values", output);
        Assert.DoesNotContain("spills:", output);
    }
}
