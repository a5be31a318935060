using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Device;

/// <summary>A rule about drivers that compute slowly or wrongly on matrix units, though they offer them.</summary>
/// <param name="Use">What they may be used for.</param>
/// <param name="Why">What is wrong, for users.</param>
/// <param name="Source">Where it was reported.</param>
/// <param name="Applies">Whether the rule is about a driver.</param>
internal sealed record DriverRule(MatrixUse Use, string Why, string Source, Func<DriverIdentity, bool> Applies)
{
    private const uint Intel = 0x8086, Nvidia = 0x10de;

    /// <summary>The rules, in their order; the first that applies counts.</summary>
    public static IReadOnlyList<DriverRule> All { get; } =
    [
        new(MatrixUse.None, "AMD's own driver crashes on integrated GPUs when it is asked for the sizes of its matrices",
            "https://github.com/ggml-org/llama.cpp/pull/22750",
            d => IsAmdsOwn(d) && d.Kind == DeviceKind.IntegratedGpu),
        new(MatrixUse.None, "AMD's own driver offers matrix units on cards that have none, and computes them slowly",
            "https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-vulkan/ggml-vulkan.cpp",
            d => IsAmdsOwn(d) && !d.HasMixedDot),
        new(MatrixUse.None, "Mesa computes wrong products on the matrix units of Intel's Xe3",
            "https://github.com/tracel-ai/cubecl/pull/1444",
            d => d is { Driver: DriverId.IntelOpenSourceMesa, Card: >= 0xb080 and <= 0xb0ff or 0xfd80 or 0xfd81 }),
        new(MatrixUse.None, "Intel's driver for Windows loses an Arc Pro B70 that uses its matrix units",
            "https://github.com/IGCIT/Intel-GPU-Community-Issue-Tracker-IGCIT/issues/1487",
            d => d is { Driver: DriverId.IntelProprietaryWindows, Card: 0xe223 }),
        new(MatrixUse.None, "the matrix units of Intel's first Arc cards took up to a thousand times as long as portable kernels",
            "https://github.com/ggml-org/llama.cpp/pull/24404",
            d => d is { Vendor: Intel, Kind: DeviceKind.DiscreteGpu, MinSubgroupSize: < 16 }),
        new(MatrixUse.Products,
            "Mesa since 26.1 misses products where workgroups with different numbers of them share a core of an Intel GPU",
            "https://github.com/ggml-org/llama.cpp/pull/24406",
            d => d.Driver == DriverId.IntelOpenSourceMesa && d.Version >= Vk.MakeVersion(26, 1)),
        new(MatrixUse.Products, "NVIDIA's compiler makes attention on the matrix units of Turing cards wrong",
            "https://github.com/ggml-org/llama.cpp/pull/19290",
            d => d is { Vendor: Nvidia, Driver: DriverId.NvidiaProprietary, Card: >= 0x1e00 and <= 0x1fff or >= 0x2180 and <= 0x21ff }),
    ];

    /// <summary>The rule for a driver; null for none.</summary>
    public static DriverRule? For(DriverIdentity driver) => All.FirstOrDefault(rule => rule.Applies(driver));

    private static bool IsAmdsOwn(DriverIdentity d) => d.Driver is DriverId.AmdProprietary or DriverId.AmdOpenSource;
}
