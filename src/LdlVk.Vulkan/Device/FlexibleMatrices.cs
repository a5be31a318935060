using System.Numerics;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Kernels;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Device;

/// <summary>
/// The matrices of linear_matrix_nv.comp: products of fp16 matrices with fp32 sums, computed by a subgroup or a whole workgroup together.
/// The kernel chooses their size (VK_NV_cooperative_matrix2).
/// </summary>
/// <param name="Scope">Subgroup or workgroup: the invocations that compute a product together. A workgroup has no others.</param>
/// <param name="Invocations">Number of these invocations.</param>
/// <param name="M">Rows of a product.</param>
/// <param name="N">Columns of a product.</param>
/// <param name="SubgroupSize">Invocations of a subgroup.</param>
internal sealed unsafe record FlexibleMatrices(ScopeKHR Scope, uint Invocations, uint M, uint N, uint SubgroupSize)
{
    /// <summary>Products of a workgroup, at most; a gated product counts twice.</summary>
    private const uint MaxProducts = 4;

    /// <summary>Products of a workgroup one below the other, at most.</summary>
    public const int MaxDown = 2;

    /// <summary>Length of a step of K.</summary>
    private const uint K = WeightLayout.GroupSize;

    /// <summary>The extension to enable besides <see cref="MatrixUnits.Extensions"/>.</summary>
    public const string Extension = "VK_NV_cooperative_matrix2";

    /// <summary>The matrices of a device with matrix units, or null where it has none that the kernel can use.</summary>
    public static FlexibleMatrices? Of(Vk api, Instance instance, PhysicalDevice device, MatrixUnits? units)
    {
        if (units is null || !PhysicalDeviceFacts.HasExtension(api, device, Extension)) return null;
        var sizes = new PhysicalDeviceCooperativeMatrix2PropertiesNV(sType: StructureType.PhysicalDeviceCooperativeMatrix2PropertiesNV);
        var properties = new PhysicalDeviceProperties2(pNext: &sizes);
        api.GetPhysicalDeviceProperties2(device, &properties);
        // The kernel is SPIR-V 1.6, which needs Vulkan 1.3.
        if (properties.Properties.ApiVersion < Vk.Version13) return null;

        var flexible = new PhysicalDeviceCooperativeMatrix2FeaturesNV(sType: StructureType.PhysicalDeviceCooperativeMatrix2FeaturesNV);
        var v12 = new PhysicalDeviceVulkan12Features(sType: StructureType.PhysicalDeviceVulkan12Features, pNext: &flexible);
        var features = new PhysicalDeviceFeatures2(pNext: &v12);
        api.GetPhysicalDeviceFeatures2(device, &features);
        if (!flexible.CooperativeMatrixFlexibleDimensions || !flexible.CooperativeMatrixPerElementOperations || !v12.ShaderInt8)
            return null;

        bool workgroups = flexible.CooperativeMatrixWorkgroupScope;
        uint largest = sizes.CooperativeMatrixFlexibleDimensionsMaxDimension;
        CooperativeMatrixFlexibleDimensionsPropertiesNV[] granularities = Granularities(api, instance, device);
        return granularities
            .Where(g => g is { AType: ComponentTypeKHR.Float16Khr, BType: ComponentTypeKHR.Float16Khr })
            .Where(g => g is { CType: ComponentTypeKHR.Float32Khr, ResultType: ComponentTypeKHR.Float32Khr })
            .Where(g => g.Scope == ScopeKHR.SubgroupKhr || (g.Scope == ScopeKHR.WorkgroupKhr && workgroups))
            // A whole workgroup loads its operands only once; 256 invocations hide each other's latency.
            .OrderByDescending(g => g.Scope == ScopeKHR.WorkgroupKhr).ThenBy(g => Math.Abs((int)g.WorkgroupInvocations - 256))
            .Select(g => Sized(g.Scope, g.Scope == ScopeKHR.WorkgroupKhr ? g.WorkgroupInvocations : units.SubgroupSize, units.SubgroupSize))
            .FirstOrDefault(m => Math.Max(m.M, m.N) <= largest
                && granularities.Any(g => m.Suits(g, ComponentTypeKHR.Float16Khr))
                && granularities.Any(g => m.Suits(g, ComponentTypeKHR.Sint8Khr)));
    }

    /// <summary>The features that the kernel needs.</summary>
    public PhysicalDeviceCooperativeMatrix2FeaturesNV Features => new(
        sType: StructureType.PhysicalDeviceCooperativeMatrix2FeaturesNV, cooperativeMatrixFlexibleDimensions: true,
        cooperativeMatrixPerElementOperations: true, cooperativeMatrixWorkgroupScope: Scope == ScopeKHR.WorkgroupKhr);

    /// <summary>Whether the kernel takes weights of so many features: at least one matrix, at most what a dispatch covers.</summary>
    public bool Takes(int features) => features >= N && features <= KernelLimits.MaxGroups * (long)N;

    /// <summary>
    /// How many products a workgroup computes, down and across. Products one below the other share a load of weights, products side by side
    /// a load of rows. The size of a product never changes, so every choice gives the same bits.
    /// </summary>
    public (uint Down, uint Across) ProductsFor(int features, int rows, bool gated)
    {
        uint down = rows > M ? 2u : 1u, products = gated ? MaxProducts / 2 : MaxProducts;
        return (down, products / down > 1 && features >= 2 * N ? 2u : 1u);
    }

    private static FlexibleMatrices Sized(ScopeKHR scope, uint invocations, uint subgroupSize)
    {
        // Sums of an invocation. Four products of a workgroup leave room for operands in 255 registers. A subgroup's products have the
        // usual 16×16 for 32 invocations: drivers unroll larger ones into code that a driver on a processor compiles for a minute.
        uint sumsEach = scope == ScopeKHR.WorkgroupKhr ? 32u : 8u;
        int log = BitOperations.Log2(invocations * sumsEach);
        return new FlexibleMatrices(scope, invocations, 1u << (log / 2), 1u << (log - (log / 2)), subgroupSize);
    }

    /// <summary>Whether a granularity of the device allows these matrices with operands of a type.</summary>
    private bool Suits(in CooperativeMatrixFlexibleDimensionsPropertiesNV g, ComponentTypeKHR type) =>
        g.AType == type && g.BType == type && g.Scope == Scope && (Scope == ScopeKHR.SubgroupKhr || g.WorkgroupInvocations == Invocations)
            && M % g.MGranularity == 0 && N % g.NGranularity == 0 && K % g.KGranularity == 0;

    private static CooperativeMatrixFlexibleDimensionsPropertiesNV[] Granularities(Vk api, Instance instance, PhysicalDevice device)
    {
        var query = (delegate* unmanaged<PhysicalDevice, uint*, CooperativeMatrixFlexibleDimensionsPropertiesNV*, Result>)
            (void*)api.GetInstanceProcAddr(instance, "vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV");
        uint count = 0;
        if (query is null || query(device, &count, null) < Result.Success) return [];
        var all = new CooperativeMatrixFlexibleDimensionsPropertiesNV[count];
        const StructureType Type = StructureType.CooperativeMatrixFlexibleDimensionsPropertiesNV;
        Array.Fill(all, new CooperativeMatrixFlexibleDimensionsPropertiesNV(sType: Type));
        fixed (CooperativeMatrixFlexibleDimensionsPropertiesNV* p = all)
            return query(device, &count, p) < Result.Success ? [] : all[..(int)count];
    }
}
