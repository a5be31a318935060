using System.Runtime.InteropServices;
using System.Text;
using Silk.NET.Vulkan;

namespace LdlVk.Testing;

/// <summary>
/// A Vulkan loader between the backend and the real one, which makes the devices look like others (<see cref="DeviceProfile"/>), and notes
/// each workgroup, buffer and allocation that would be above their limits.
/// </summary>
/// <param name="profiles">What device 0, 1, … is to look like. The backend sees only these, all of them on the real device of that index.</param>
/// <param name="realDevice">The real device behind them.</param>
/// <param name="claims">
/// Whether they claim subgroup sizes and matrix units, which the real device need not have: then nothing can be opened. Otherwise only
/// what a device can be held to is imposed.
/// </param>
public sealed unsafe class ImposedVulkan(IReadOnlyList<DeviceProfile> profiles, int realDevice = 0, bool claims = false) : InterposedVulkan(Watched)
{
    private const string Matrices = "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR", BusInfo = "VK_EXT_pci_bus_info";

    private static readonly string[] Watched =
    [
        "vkEnumeratePhysicalDevices", "vkGetPhysicalDeviceProperties", "vkGetPhysicalDeviceProperties2", "vkGetPhysicalDeviceFeatures2",
        "vkGetPhysicalDeviceMemoryProperties", "vkGetPhysicalDeviceMemoryProperties2", "vkEnumerateDeviceExtensionProperties",
        "vkGetInstanceProcAddr", "vkCreateDevice", "vkCreateShaderModule", "vkCreateComputePipelines", "vkCreateBuffer",
        "vkAllocateMemory", "vkGetPhysicalDeviceQueueFamilyProperties", Matrices,
    ];

    private static readonly string[] Extensions =
        ["VK_KHR_cooperative_matrix", "VK_EXT_subgroup_size_control", BusInfo, "VK_KHR_maintenance4", "VK_KHR_shader_integer_dot_product"];

    private readonly Dictionary<nint, byte[]> _modules = [];
    private nint _real;

    /// <summary>What was above a limit, in words; empty if nothing was.</summary>
    public List<string> Violations { get; } = [];

    /// <summary>Kernels that were compiled.</summary>
    public int Kernels { get; private set; }

    /// <summary>Whether the sizes of matrices were asked for.</summary>
    public bool AskedForMatrices { get; private set; }

    /// <summary>Handles of the devices that the backend sees are their numbers from 1, at an address that no object has.</summary>
    private DeviceProfile ProfileOf(nint handle) => profiles[(int)handle - 1];

    protected override nint Answer(string name, Call real, nint a, nint b, nint c, nint d, nint e, nint f)
    {
        switch (name)
        {
            case "vkEnumeratePhysicalDevices": return Enumerate(real, a, (uint*)b, (nint*)c);
            case "vkGetInstanceProcAddr":
                nint address = real(a, b, c, d, e, f);
                string asked = Marshal.PtrToStringUTF8(b)!;
                return asked.StartsWith("vkGetPhysicalDevice", StringComparison.Ordinal) ? Wrap(asked, address) : address;
            case "vkEnumerateDeviceExtensionProperties" when claims:
                return List([.. Extensions.Where(e => e != BusInfo || ProfileOf(a).Bus > 0)], (uint*)c, (ExtensionProperties*)d);
            case "vkCreateDevice": return real(_real, b, c, d, e, f);
            case "vkCreateBuffer": Check("a buffer", ((BufferCreateInfo*)b)->Size, profiles[0].MaxAllocation); break;
            case "vkAllocateMemory": Check("an allocation", ((MemoryAllocateInfo*)b)->AllocationSize, profiles[0].MaxAllocation); break;
            case "vkCreateComputePipelines": Check((ComputePipelineCreateInfo*)d); break;
            case Matrices when claims: return Describe(ProfileOf(a), (uint*)b, (CooperativeMatrixPropertiesKHR*)c);
        }

        bool asksDevice = name.StartsWith("vkGetPhysicalDevice", StringComparison.Ordinal) || name == "vkEnumerateDeviceExtensionProperties";
        nint result = real(asksDevice ? _real : a, b, c, d, e, f);
        if (name == "vkCreateShaderModule" && result == 0)
        {
            var module = (ShaderModuleCreateInfo*)b;
            _modules[*(nint*)d] = new ReadOnlySpan<byte>(module->PCode, (int)module->CodeSize).ToArray();
        }

        if (!asksDevice) return result;
        DeviceProfile profile = ProfileOf(a);
        switch (name)
        {
            case "vkGetPhysicalDeviceProperties": Impose(profile, (PhysicalDeviceProperties*)b); break;
            case "vkGetPhysicalDeviceProperties2": Impose(profile, (PhysicalDeviceProperties2*)b); break;
            case "vkGetPhysicalDeviceFeatures2" when claims: Impose(profile, (PhysicalDeviceFeatures2*)b); break;
            case "vkGetPhysicalDeviceMemoryProperties": Impose(profile, ref *(PhysicalDeviceMemoryProperties*)b); break;
            case "vkGetPhysicalDeviceMemoryProperties2": Impose(profile, ref ((PhysicalDeviceMemoryProperties2*)b)->MemoryProperties); break;
        }

        return result;
    }

    private nint Enumerate(Call real, nint instance, uint* count, nint* devices)
    {
        uint there = 8;
        nint* found = stackalloc nint[8];
        nint result = real(instance, (nint)(&there), (nint)found, 0, 0, 0);
        if (result != 0) return result;
        _real = found[realDevice];
        if (devices is not null) for (int i = 0; i < profiles.Count; i++) devices[i] = i + 1;
        *count = (uint)profiles.Count;
        return 0;
    }

    private static nint List(string[] names, uint* count, ExtensionProperties* found)
    {
        if (found is not null)
            for (int i = 0; i < names.Length; i++) Encoding.UTF8.GetBytes(names[i] + "\0", new Span<byte>(found[i].ExtensionName, 256));
        *count = (uint)names.Length;
        return 0;
    }

    private nint Describe(DeviceProfile profile, uint* count, CooperativeMatrixPropertiesKHR* shapes)
    {
        AskedForMatrices = true;
        if (profile.Matrix is not { } size)
        {
            *count = 0;
            return 0;
        }

        *count = 1;
        if (shapes is null) return 0;
        *shapes = new CooperativeMatrixPropertiesKHR(
            mSize: size.M, nSize: size.N, kSize: size.K, aType: ComponentTypeKHR.Float16Khr, bType: ComponentTypeKHR.Float16Khr,
            cType: ComponentTypeKHR.Float32Khr, resultType: ComponentTypeKHR.Float32Khr, scope: ScopeKHR.SubgroupKhr);
        return 0;
    }

    /// <summary>A limit of the profile, or, where the real device is held to it, its own if that is lower.</summary>
    private uint Limit(uint profile, uint real) => claims ? profile : Math.Min(profile, real);

    private void Impose(DeviceProfile profile, PhysicalDeviceProperties* p)
    {
        p->VendorID = profile.Vendor;
        p->DeviceID = profile.Card;
        p->DriverVersion = profile.Version;
        p->DeviceType = profile.Type;
        Span<byte> name = new(p->DeviceName, 256);
        name.Clear();
        Encoding.UTF8.GetBytes(profile.Name, name);
        ref PhysicalDeviceLimits limits = ref p->Limits;
        limits.MaxComputeSharedMemorySize = Limit(profile.SharedBytes, limits.MaxComputeSharedMemorySize);
        limits.MaxComputeWorkGroupInvocations = Limit(1024, limits.MaxComputeWorkGroupInvocations);
        for (int i = 0; i < 3; i++)
        {
            limits.MaxComputeWorkGroupSize[i] = Limit(i < 2 ? 1024u : 64, limits.MaxComputeWorkGroupSize[i]);
            limits.MaxComputeWorkGroupCount[i] = 65535;
        }

        limits.MaxPushConstantsSize = 128;
    }

    private void Impose(DeviceProfile profile, PhysicalDeviceProperties2* p)
    {
        Impose(profile, &p->Properties);
        for (var s = (BaseOutStructure*)p->PNext; s is not null; s = (BaseOutStructure*)s->PNext)
        {
            switch (s->SType)
            {
                case StructureType.PhysicalDeviceDriverProperties: ((PhysicalDeviceDriverProperties*)s)->DriverID = profile.Driver; break;
                case StructureType.PhysicalDeviceMaintenance3Properties:
                    ref ulong largest = ref ((PhysicalDeviceMaintenance3Properties*)s)->MaxMemoryAllocationSize;
                    largest = claims ? profile.MaxAllocation : Math.Min(profile.MaxAllocation, largest);
                    break;
                case StructureType.PhysicalDeviceMaintenance4Properties:
                    ref ulong buffer = ref ((PhysicalDeviceMaintenance4Properties*)s)->MaxBufferSize;
                    buffer = claims ? profile.MaxAllocation : Math.Min(profile.MaxAllocation, buffer);
                    break;
                case StructureType.PhysicalDevicePciBusInfoPropertiesExt when profile.Bus > 0:
                    ((PhysicalDevicePCIBusInfoPropertiesEXT*)s)->PciBus = profile.Bus;
                    break;
                case StructureType.PhysicalDeviceIDProperties:
                    ((PhysicalDeviceIDProperties*)s)->DeviceUuid[0] = (byte)profile.Card;
                    break;
                case StructureType.PhysicalDeviceSubgroupSizeControlProperties:
                    var sizes = (PhysicalDeviceSubgroupSizeControlProperties*)s;
                    sizes->MaxComputeWorkgroupSubgroups = Limit(profile.MaxSubgroups, sizes->MaxComputeWorkgroupSubgroups);
                    if (claims) (sizes->MinSubgroupSize, sizes->MaxSubgroupSize) = (profile.Subgroups.Min, profile.Subgroups.Max);
                    if (claims) sizes->RequiredSubgroupSizeStages = ShaderStageFlags.ComputeBit;
                    break;
                case StructureType.PhysicalDeviceSubgroupProperties when claims:
                    ((PhysicalDeviceSubgroupProperties*)s)->SubgroupSize = profile.Subgroups.Usual;
                    break;
                case StructureType.PhysicalDeviceShaderIntegerDotProductProperties:
                    ((PhysicalDeviceShaderIntegerDotProductProperties*)s)->IntegerDotProduct4x8BitPackedMixedSignednessAccelerated = profile.MixedDot;
                    break;
            }
        }
    }

    private static void Impose(DeviceProfile profile, PhysicalDeviceFeatures2* features)
    {
        for (var s = (BaseOutStructure*)features->PNext; s is not null; s = (BaseOutStructure*)s->PNext)
        {
            switch (s->SType)
            {
                case StructureType.PhysicalDeviceCooperativeMatrixFeaturesKhr:
                    ((PhysicalDeviceCooperativeMatrixFeaturesKHR*)s)->CooperativeMatrix = profile.Matrix is not null;
                    break;
                case StructureType.PhysicalDeviceSubgroupSizeControlFeatures:
                    var control = (PhysicalDeviceSubgroupSizeControlFeatures*)s;
                    control->SubgroupSizeControl = control->ComputeFullSubgroups = true;
                    break;
                case StructureType.PhysicalDeviceVulkan12Features:
                    var core = (PhysicalDeviceVulkan12Features*)s;
                    core->ShaderFloat16 = core->VulkanMemoryModel = true;
                    break;
            }
        }
    }

    private static void Impose(DeviceProfile profile, ref PhysicalDeviceMemoryProperties memory)
    {
        for (int i = 0; i < memory.MemoryHeapCount; i++) memory.MemoryHeaps[i].Size = Math.Min(memory.MemoryHeaps[i].Size, profile.Memory);
    }

    private void Check(ComputePipelineCreateInfo* create)
    {
        Kernels++;
        Dictionary<uint, uint> constants = [];
        SpecializationInfo* given = create->Stage.PSpecializationInfo;
        for (uint i = 0; given is not null && i < given->MapEntryCount; i++)
            constants[given->PMapEntries[i].ConstantID] = *(uint*)((byte*)given->PData + given->PMapEntries[i].Offset);
        SpirvWorkgroup kernel = new(_modules[(nint)create->Stage.Module.Handle], constants);
        DeviceProfile profile = profiles[0];
        Check("shared memory", kernel.SharedBytes, profile.SharedBytes);
        Check("a workgroup", kernel.Threads, 1024);
        for (int i = 0; i < 3; i++) Check("a workgroup's side", kernel.Size[i], i < 2 ? 1024u : 64);
        for (var s = (BaseInStructure*)create->Stage.PNext; s is not null; s = s->PNext)
            if (s->SType == StructureType.PipelineShaderStageRequiredSubgroupSizeCreateInfo)
                Check("subgroups", kernel.Threads / ((PipelineShaderStageRequiredSubgroupSizeCreateInfo*)s)->RequiredSubgroupSize, profile.MaxSubgroups);
    }

    private void Check(string what, ulong value, ulong limit)
    {
        if (value > limit) Violations.Add($"{what} of {value}, where {limit} are allowed");
    }
}
