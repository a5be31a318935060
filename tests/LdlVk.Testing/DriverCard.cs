using System.Runtime.InteropServices;

namespace LdlVk.Testing;

/// <summary>
/// A graphics card whose Mesa driver runs without the card: a library of the package mesa-drm-shim, for Intel's cards that of eng/intel-shim,
/// answers in place of the operating system's kernel, and computes nothing.
/// </summary>
/// <param name="Name">The card.</param>
/// <param name="Shim">The library, of the driver's version.</param>
/// <param name="Variable">The variable that selects the card.</param>
/// <param name="Value">Its value.</param>
/// <param name="Driver">The driver's manifest.</param>
/// <param name="HasMatrixUnits">Whether it has matrix units that the kernels use.</param>
public sealed record DriverCard(string Name, string Shim, string Variable, string Value, string Driver, bool HasMatrixUnits)
{
    /// <summary>A card of each generation that the lab's drivers know.</summary>
    public static IReadOnlyList<DriverCard> All { get; } =
    [
        new("Radeon RX 6900 XT", "amdgpu", "AMDGPU_GPU_ID", "navi21", "radeon", false),
        new("Radeon RX 7900 XTX", "amdgpu", "AMDGPU_GPU_ID", "navi31", "radeon", true),
        new("Radeon RX 9070 XT", "amdgpu", "AMDGPU_GPU_ID", "gfx1201", "radeon", true),
        new("GeForce RTX 20", "nouveau", "NOUVEAU_CHIPSET", "164", "nouveau", true),
        new("GeForce RTX 40", "nouveau", "NOUVEAU_CHIPSET", "194", "nouveau", true),
        new("GeForce RTX 50", "nouveau", "NOUVEAU_CHIPSET", "1b2", "nouveau", true),
        new("Adreno 740", "freedreno", "FD_GPU_ID", "740", "freedreno", false),
        new("Arc A770", "intel", "INTEL_STUB_GPU_PLATFORM", "dg2", "intel", false),
        new("Arc B580", "intel", "INTEL_STUB_GPU_PLATFORM", "bmg", "intel", true),
    ];

    /// <summary>Those whose kernels are compared with the recorded figures (<see cref="KernelFigures"/>).</summary>
    public static IReadOnlyList<DriverCard> Judges { get; } =
        [.. All.Where(c => c.Name is "Radeon RX 7900 XTX" or "Radeon RX 9070 XT" or "GeForce RTX 40" or "Arc B580")];

    private string Library { get; } = Shim == "intel" ? Repository.Path(".cache", "intel-shim", "libintel_noop_drm_shim.so")
        : $"/usr/lib/{(RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "aarch64" : "x86_64")}-linux-gnu/lib{Shim}_noop_drm_shim.so";

    private string Manifest { get; } = $"/usr/share/vulkan/icd.d/{Driver}_icd.json";

    /// <summary>Whether this machine has the driver and the library.</summary>
    public bool IsThere => File.Exists(Library) && File.Exists(Manifest);

    /// <summary>The environment of a process that sees this card.</summary>
    public (string Name, string Value)[] Environment =>
    [
        // NVK starts only if it is asked for.
        ("LD_PRELOAD", Library), (Variable, Value), ("VK_DRIVER_FILES", Manifest), ("NVK_I_WANT_A_BROKEN_VULKAN_DRIVER", "1"),
        // ANV shows no assembly of a kernel that it has kept.
        ("MESA_SHADER_CACHE_DISABLE", Shim == "intel" ? "true" : "false"),
    ];

    /// <summary>Whether a process of this card ended because the library is older than the card.</summary>
    public static bool IsUnknownIn(string errors) => errors.Contains("Failed to find amdgpu GPU named", StringComparison.Ordinal);

    /// <inheritdoc/>
    public override string ToString() => Name;
}
