using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Device;

/// <summary>
/// How many cores a device has: parts that share registers and shared memory among the workgroups that they run. Vulkan itself does not
/// say; three vendors' extensions do, Intel's drivers have none.
/// </summary>
internal static unsafe class CoreCount
{
    /// <summary>SIMD units of a compute unit from RDNA on, where two compute units run a workgroup together; before it has four.</summary>
    private const uint SimdUnitsOfRdna = 2;

    /// <summary>The number of a device's cores; 0 where its driver does not say.</summary>
    public static int Of(Vk api, PhysicalDevice device)
    {
        if (PhysicalDeviceFacts.HasExtension(api, device, "VK_NV_shader_sm_builtins"))
        {
            var nvidia = new PhysicalDeviceShaderSMBuiltinsPropertiesNV(
                sType: StructureType.PhysicalDeviceShaderSMBuiltinsPropertiesNV);
            Ask(&nvidia);
            return (int)nvidia.ShaderSmcount;
        }

        if (PhysicalDeviceFacts.HasExtension(api, device, "VK_AMD_shader_core_properties"))
        {
            var amd = new PhysicalDeviceShaderCorePropertiesAMD(sType: StructureType.PhysicalDeviceShaderCorePropertiesAmd);
            Ask(&amd);
            uint units = amd.ShaderEngineCount * amd.ShaderArraysPerEngineCount * amd.ComputeUnitsPerShaderArray;
            // Of the units that the chip has, those that this card has enabled.
            if (PhysicalDeviceFacts.HasExtension(api, device, "VK_AMD_shader_core_properties2"))
            {
                var enabled = new PhysicalDeviceShaderCoreProperties2AMD(sType: StructureType.PhysicalDeviceShaderCoreProperties2Amd);
                Ask(&enabled);
                if (enabled.ActiveComputeUnitCount > 0) units = enabled.ActiveComputeUnitCount;
            }

            return OfComputeUnits(units, amd.SimdPerComputeUnit);
        }

        if (PhysicalDeviceFacts.HasExtension(api, device, "VK_ARM_shader_core_builtins"))
        {
            var arm = new PhysicalDeviceShaderCoreBuiltinsPropertiesARM(
                sType: StructureType.PhysicalDeviceShaderCoreBuiltinsPropertiesArm);
            Ask(&arm);
            return (int)arm.ShaderCoreCount;
        }

        return 0;

        void Ask(void* properties)
        {
            var all = new PhysicalDeviceProperties2(pNext: properties);
            api.GetPhysicalDeviceProperties2(device, &all);
        }
    }

    /// <summary>The cores that an AMD card's compute units make.</summary>
    public static int OfComputeUnits(uint units, uint simdUnits) => (int)(simdUnits == SimdUnitsOfRdna ? units / 2 : units);
}
