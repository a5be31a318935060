using Silk.NET.Vulkan;

namespace LdlVk.Testing;

/// <summary>
/// What a real device and driver report of themselves, as far as it decides how the backend uses them. Sources: Mesa's radv_physical_device.c,
/// anv_physical_device.c and tu_device.cc, and reports of users (https://github.com/ggml-org/llama.cpp/issues/9516, pull requests 14001,
/// 16689, 19569; https://github.com/KomputeProject/kompute/issues/275).
/// </summary>
/// <param name="Name">The name that the driver reports.</param>
/// <param name="Type">The kind of hardware.</param>
/// <param name="Vendor">PCI vendor id.</param>
/// <param name="Card">PCI device id.</param>
/// <param name="Driver">The driver.</param>
/// <param name="Version">Its version, as it encodes it.</param>
/// <param name="SharedBytes">maxComputeSharedMemorySize.</param>
/// <param name="Subgroups">Smallest, usual and largest subgroup size.</param>
/// <param name="MaxSubgroups">maxComputeWorkgroupSubgroups.</param>
/// <param name="MaxAllocation">maxMemoryAllocationSize and maxBufferSize.</param>
/// <param name="Memory">Bytes of device memory.</param>
/// <param name="Matrix">Size M, N, K of fp16 matrices with fp32 sums; null for no matrix units.</param>
/// <param name="MixedDot">integerDotProduct4x8BitPackedMixedSignednessAccelerated.</param>
/// <param name="Bus">Its number on the PCI bus; 0 where the driver does not say.</param>
public sealed record DeviceProfile(
    string Name, PhysicalDeviceType Type, uint Vendor, uint Card, DriverId Driver, uint Version, uint SharedBytes,
    (uint Min, uint Usual, uint Max) Subgroups, uint MaxSubgroups, ulong MaxAllocation, ulong Memory, (uint M, uint N, uint K)? Matrix,
    bool MixedDot = false, uint Bus = 3)
{
    private const uint Amd = 0x1002, Intel = 0x8086, Nvidia = 0x10de, Qualcomm = 0x5143, Unlimited = uint.MaxValue;
    private const ulong GiB = 1UL << 30;

    private const PhysicalDeviceType Discrete = PhysicalDeviceType.DiscreteGpu, Integrated = PhysicalDeviceType.IntegratedGpu;

    private static readonly uint Mesa25 = Vk.MakeVersion(25, 0, 7), Mesa262 = Vk.MakeVersion(26, 2, 3);

    /// <summary>Devices of all vendors, from old to new.</summary>
    public static IReadOnlyList<DeviceProfile> All { get; } =
    [
        new("AMD Radeon RX 580 Series (RADV POLARIS10)", Discrete, Amd, 0x67df, DriverId.MesaRadv, Mesa25, 65536, (64, 64, 64),
            Unlimited, 4 * GiB - 4, 8 * GiB, null),
        new("AMD Radeon RX 6800", Discrete, Amd, 0x73bf, DriverId.AmdProprietary, Vk.MakeVersion(2, 0, 388), 32768, (32, 64, 64),
            Unlimited, 2 * GiB, 16 * GiB, (16, 16, 16)),
        new("AMD Radeon RX 7900 XTX", Discrete, Amd, 0x744c, DriverId.AmdProprietary, Vk.MakeVersion(2, 0, 388), 32768, (32, 64, 64),
            Unlimited, 2 * GiB, 24 * GiB, (16, 16, 16), MixedDot: true),
        new("AMD Radeon RX 7900 XTX (RADV NAVI31)", Discrete, Amd, 0x744c, DriverId.MesaRadv, Mesa262, 65536, (32, 64, 64),
            Unlimited, 4 * GiB - 4, 24 * GiB, (16, 16, 16), MixedDot: true),
        new("AMD Radeon 860M Graphics", Integrated, Amd, 0x1114, DriverId.AmdProprietary, Vk.MakeVersion(2, 0, 388), 32768, (32, 64, 64),
            Unlimited, 2 * GiB, 8 * GiB, (16, 16, 16), MixedDot: true),
        new("Intel(R) Arc(tm) A770 Graphics (DG2)", Discrete, Intel, 0x56a0, DriverId.IntelOpenSourceMesa, Mesa25, 65536, (8, 32, 32),
            64, 4 * GiB - 1, 16 * GiB, (8, 8, 16)),
        new("Intel(R) Arc(TM) B580 Graphics", Discrete, Intel, 0xe20b, DriverId.IntelProprietaryWindows, 0x1950ff, 49152, (16, 32, 32),
            64, 4 * GiB - 4096, 12 * GiB, (8, 16, 16)),
        new("Intel(R) Arc(tm) B580 Graphics (BMG G21)", Discrete, Intel, 0xe20b, DriverId.IntelOpenSourceMesa, Mesa262, 65536, (16, 32, 32),
            64, 4 * GiB - 1, 12 * GiB, (8, 16, 16)),
        new("Intel(R) Arc(tm) B390 Graphics (PTL)", Integrated, Intel, 0xb080, DriverId.IntelOpenSourceMesa, Mesa262, 65536, (16, 32, 32),
            64, 4 * GiB - 1, 16 * GiB, (8, 16, 16)),
        new("Intel(R) Iris(R) Xe Graphics (TGL GT2)", Integrated, Intel, 0x9a49, DriverId.IntelOpenSourceMesa, Mesa25, 65536, (8, 32, 32),
            64, 4 * GiB - 1, 16 * GiB, null),
        new("NVIDIA GeForce RTX 2060", Discrete, Nvidia, 0x1f08, DriverId.NvidiaProprietary, 0x91140000, 49152, (32, 32, 32),
            32, 0xffe00000, 6 * GiB, (16, 16, 16)),
        new("NVIDIA GeForce RTX 4090", Discrete, Nvidia, 0x2684, DriverId.NvidiaProprietary, 0x91140000, 49152, (32, 32, 32),
            32, 0xffe00000, 24 * GiB, (16, 16, 16)),
        new("Qualcomm(R) Adreno(TM) X1-85 GPU", Integrated, Qualcomm, 0x36334330, DriverId.QualcommProprietary, 0x80353000, 32768, (64, 64, 128),
            16, 2 * GiB, 8 * GiB, null, Bus: 0),
    ];

    /// <summary>Its name, for the names of tests.</summary>
    public override string ToString() => $"{Name}, driver {(int)Driver}";
}
