using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Device;

/// <summary>What is known of a card and its driver without asking what its matrix units can do.</summary>
/// <param name="Vendor">PCI vendor id.</param>
/// <param name="Card">PCI device id.</param>
/// <param name="Driver">The driver, by the number that Khronos gave it.</param>
/// <param name="Version">The driver's version, as the driver encodes it.</param>
/// <param name="Kind">The kind of hardware.</param>
/// <param name="MinSubgroupSize">The smallest subgroup size; 0 where the driver does not say.</param>
/// <param name="HasMixedDot">Whether dot products of signed with unsigned bytes are fast, as on AMD's cards since RDNA 3.</param>
internal readonly record struct DriverIdentity(
    uint Vendor, uint Card, DriverId Driver, uint Version, DeviceKind Kind, uint MinSubgroupSize, bool HasMixedDot);
