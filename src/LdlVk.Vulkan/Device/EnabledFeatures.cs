using System.Runtime.InteropServices;
using LdlVk.Vulkan.Kernels;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Device;

/// <summary>
/// The extensions and features that a device is opened with: all that the backend requires, and the optional ones that the device has. They
/// lie in native memory, since the structures of a chain point to each other.
/// </summary>
internal sealed unsafe class EnabledFeatures : IDisposable
{
    private struct Structures
    {
        public PhysicalDeviceVulkan12Features Core;
        public PhysicalDeviceSubgroupSizeControlFeatures SubgroupSize;
        public PhysicalDeviceCooperativeMatrixFeaturesKHR Matrix;
        public PhysicalDeviceCooperativeMatrix2FeaturesNV Flexible;
        public PhysicalDeviceMaintenance4Features Maintenance;
        public PhysicalDeviceShaderIntegerDotProductFeatures IntegerDot;
        public PhysicalDevicePipelineExecutablePropertiesFeaturesKHR Executables;
    }

    private readonly Structures* _all;
    private readonly List<string> _extensions = [];

    /// <summary>The features for a device.</summary>
    /// <param name="api">The loader.</param>
    /// <param name="device">The device.</param>
    /// <param name="facts">Its properties.</param>
    /// <param name="statistics">Whether the driver will be asked for statistics of compiled kernels
    /// (VK_KHR_pipeline_executable_properties).</param>
    public EnabledFeatures(Vk api, PhysicalDevice device, PhysicalDeviceFacts facts, bool statistics = false)
    {
        _all = (Structures*)NativeMemory.AllocZeroed((nuint)sizeof(Structures));
        ref PhysicalDeviceVulkan12Features core = ref _all->Core;
        core = new PhysicalDeviceVulkan12Features(sType: StructureType.PhysicalDeviceVulkan12Features)
        {
            BufferDeviceAddress = true,
            TimelineSemaphore = true,
        };
        // A driver that is not fully conformant (MoltenVK) reports this extension, which must then be enabled.
        if (PhysicalDeviceFacts.HasExtension(api, device, "VK_KHR_portability_subset")) _extensions.Add("VK_KHR_portability_subset");
        if (facts.MatrixUnits is not null)
        {
            _extensions.AddRange(MatrixUnits.Extensions);
            MatrixUnits.EnableIn(ref core, facts.ByteMatrixUnits is not null);
            Enable(&_all->SubgroupSize, new(subgroupSizeControl: true, computeFullSubgroups: true));
            Enable(&_all->Matrix, new(cooperativeMatrix: true));
        }

        if (facts.FlexibleMatrices is { } flexible)
        {
            _extensions.Add(FlexibleMatrices.Extension);
            core.ShaderInt8 = true;
            Enable(&_all->Flexible, flexible.Features);
            // SPIR-V 1.6 declares the workgroup size in a way that needs this feature; Vulkan 1.3 always has it.
            Enable(&_all->Maintenance, new(maintenance4: true));
        }

        if (facts.HasIntegerDot)
        {
            _extensions.Add(PhysicalDeviceFacts.IntegerDotExtension);
            Enable(&_all->IntegerDot, new(shaderIntegerDotProduct: true));
        }

        if (statistics)
        {
            _extensions.Add(PipelineStatistics.Extension);
            Enable(&_all->Executables, new(pipelineExecutableInfo: true));
        }
    }

    /// <summary>The chain of structures for <see cref="DeviceCreateInfo.PNext"/>.</summary>
    public void* Chain => &_all->Core;

    /// <summary>Names of the extensions.</summary>
    public IReadOnlyList<string> Extensions => _extensions;

    public void Dispose() => NativeMemory.Free(_all);

    /// <summary>Fills in a structure and inserts it after the first of the chain.</summary>
    private void Enable<T>(T* place, T features) where T : unmanaged
    {
        *place = features;
        ((BaseOutStructure*)place)->PNext = (BaseOutStructure*)_all->Core.PNext;
        _all->Core.PNext = place;
    }
}
