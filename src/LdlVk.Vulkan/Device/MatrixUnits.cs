using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Device;

/// <summary>
/// The matrix units of a device for one type of operand: products of matrices M×K and K×N, computed by a subgroup together
/// (VK_KHR_cooperative_matrix), of fp16 with fp32 sums or of int8 with int32 sums.
/// </summary>
/// <param name="M">Rows of a product.</param>
/// <param name="N">Columns of a product.</param>
/// <param name="K">Length of the sums of one instruction.</param>
/// <param name="SubgroupSize">Invocations of a subgroup that computes a product.</param>
/// <param name="MaxSums">Sums that an invocation can keep in registers besides its operands.</param>
internal sealed unsafe record MatrixUnits(uint M, uint N, uint K, uint SubgroupSize, uint MaxSums)
{
    private const uint IntelVendor = 0x8086, AmdVendor = 0x1002;

    /// <summary>
    /// Half of 255 registers, as on NVIDIA's and AMD's cards. Intel's cards have 128 registers for an invocation of the smallest subgroup,
    /// and Mesa's compiler for them (26.2) spills nothing only up to 32 sums: with 64, an Arc A770 or B580 would spill 120 to 220 values in
    /// each step of K (bench/RESULTS.md).
    /// </summary>
    private const uint UsualSums = 128, IntelSums = 32;

    // With 32 sums the compiler for an Arc B580 spills 29 to 72 values where 34 words are loaded ahead, up to 39 with 18, none with 10.
    private const uint IntelRegisters = 44;

    /// <summary>Sums of an invocation and words that it loads ahead, together, that do not spill.</summary>
    public uint MaxRegisters { get; init; } = uint.MaxValue;

    /// <summary>
    /// Another size of subgroups that compute the same products, which tuning may choose; 0 for none. AMD's units take 32 invocations as
    /// well as 64, of which both halves hold a copy of the operands.
    /// </summary>
    public uint OtherSubgroupSize { get; init; }

    /// <summary>The extensions to enable, besides the features that <see cref="EnableIn"/> sets.</summary>
    public static readonly string[] Extensions = ["VK_KHR_cooperative_matrix", "VK_EXT_subgroup_size_control"];

    /// <summary>
    /// The device's matrix units for fp16, with sums in fp32 and in fp16, and for int8; null where it has none that the kernels can use.
    /// </summary>
    /// <param name="api">The loader.</param>
    /// <param name="instance">The instance.</param>
    /// <param name="device">The device.</param>
    /// <param name="vendor">Its PCI vendor id.</param>
    /// <param name="subgroupSize">The driver's default subgroup size.</param>
    /// <param name="sizes">The subgroup sizes that the driver supports; zeros where it does not report them.</param>
    public static (MatrixUnits? Halves, MatrixUnits? HalfSums, MatrixUnits? Bytes) Of(
        Vk api, Instance instance, PhysicalDevice device, uint vendor, uint subgroupSize,
        in PhysicalDeviceSubgroupSizeControlProperties sizes)
    {
        if (!IsUsable(api, device)) return (null, null, null);
        // A driver with a single subgroup size need not support requesting one; Mesa's NVK does not.
        if (sizes.MinSubgroupSize != sizes.MaxSubgroupSize && !sizes.RequiredSubgroupSizeStages.HasFlag(ShaderStageFlags.ComputeBit))
            return (null, null, null);
        // Intel's matrix units work on its smallest subgroups; other vendors' on the driver's default size.
        (uint lanes, uint maxSums) = vendor == IntelVendor ? (sizes.MinSubgroupSize, IntelSums) : (subgroupSize, UsualSums);
        CooperativeMatrixPropertiesKHR[] shapes = Shapes(api, instance, device);
        MatrixUnits? halves = Best(shapes, ComponentTypeKHR.Float16Khr, ComponentTypeKHR.Float32Khr, lanes, maxSums);
        MatrixUnits? halfSums = Best(shapes, ComponentTypeKHR.Float16Khr, ComponentTypeKHR.Float16Khr, lanes, maxSums);
        // int8 in shared memory is a separate feature.
        MatrixUnits? bytes = !HasInt8(api, device) ? null
            : Best(shapes, ComponentTypeKHR.Sint8Khr, ComponentTypeKHR.Sint32Khr, lanes, maxSums);
        uint registers = vendor == IntelVendor ? IntelRegisters : uint.MaxValue;
        uint other = vendor == AmdVendor && lanes == 64 && sizes.MinSubgroupSize <= 32
            && sizes.RequiredSubgroupSizeStages.HasFlag(ShaderStageFlags.ComputeBit) ? 32u : 0u;
        return halves is null ? (null, null, null) : (With(halves), With(halfSums), With(bytes));

        MatrixUnits? With(MatrixUnits? units) => units is null ? null : units with { OtherSubgroupSize = other, MaxRegisters = registers };
    }

    /// <summary>Whether the device has matrix units, full subgroups, and the other features that the kernels need.</summary>
    private static bool IsUsable(Vk api, PhysicalDevice device)
    {
        if (!Array.TrueForAll(Extensions, e => PhysicalDeviceFacts.HasExtension(api, device, e))) return false;
        var control = new PhysicalDeviceSubgroupSizeControlFeatures(sType: StructureType.PhysicalDeviceSubgroupSizeControlFeatures);
        var matrix = new PhysicalDeviceCooperativeMatrixFeaturesKHR(
            sType: StructureType.PhysicalDeviceCooperativeMatrixFeaturesKhr, pNext: &control);
        var v12 = new PhysicalDeviceVulkan12Features(sType: StructureType.PhysicalDeviceVulkan12Features, pNext: &matrix);
        var features = new PhysicalDeviceFeatures2(pNext: &v12);
        api.GetPhysicalDeviceFeatures2(device, &features);
        return matrix.CooperativeMatrix && control.SubgroupSizeControl && control.ComputeFullSubgroups
            && v12.ShaderFloat16 && v12.VulkanMemoryModel;
    }

    private static bool HasInt8(Vk api, PhysicalDevice device)
    {
        var v12 = new PhysicalDeviceVulkan12Features(sType: StructureType.PhysicalDeviceVulkan12Features);
        var features = new PhysicalDeviceFeatures2(pNext: &v12);
        api.GetPhysicalDeviceFeatures2(device, &features);
        return v12.ShaderInt8;
    }

    private static MatrixUnits? Best(
        CooperativeMatrixPropertiesKHR[] shapes, ComponentTypeKHR operand, ComponentTypeKHR sum, uint lanes, uint maxSums)
    {
        (uint M, uint N, uint K) best = shapes
            .Where(s => s.AType == operand && s.BType == operand && s.CType == sum && s.ResultType == sum)
            .Where(s => s.Scope == ScopeKHR.SubgroupKhr && !s.SaturatingAccumulation)
            .Select(s => (M: s.MSize, N: s.NSize, K: s.KSize))
            .Where(s => Fits(s.M) && Fits(s.N) && Fits(s.K))
            // The largest does the most arithmetic for each element loaded; among equals the most square one, then a fixed order.
            .OrderByDescending(s => s.M * s.N * s.K).ThenBy(s => Math.Max(s.M, s.N)).ThenBy(s => s.M).FirstOrDefault();
        return best.M == 0 ? null : new MatrixUnits(best.M, best.N, best.K, lanes, maxSums);

        // Powers of two that divide 32, the sizes that tiles are made of.
        static bool Fits(uint size) => size is 4 or 8 or 16 or 32;
    }

    /// <summary>Enables the features of Vulkan 1.2 that the kernels need; with units for int8, its feature too.</summary>
    public static void EnableIn(ref PhysicalDeviceVulkan12Features features, bool bytes)
    {
        features.ShaderFloat16 = true;
        features.VulkanMemoryModel = true;
        if (bytes) features.ShaderInt8 = true;
    }

    /// <summary>The sizes and types of matrices that a driver lists.</summary>
    public static CooperativeMatrixPropertiesKHR[] Shapes(Vk api, Instance instance, PhysicalDevice device)
    {
        var query = (delegate* unmanaged<PhysicalDevice, uint*, CooperativeMatrixPropertiesKHR*, Result>)
            (void*)api.GetInstanceProcAddr(instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
        uint count = 0;
        if (query is null || query(device, &count, null) < Result.Success) return [];
        var shapes = new CooperativeMatrixPropertiesKHR[count];
        Array.Fill(shapes, new CooperativeMatrixPropertiesKHR(sType: StructureType.CooperativeMatrixPropertiesKhr));
        fixed (CooperativeMatrixPropertiesKHR* p = shapes)
            return query(device, &count, p) < Result.Success ? [] : shapes[..(int)count];
    }
}
