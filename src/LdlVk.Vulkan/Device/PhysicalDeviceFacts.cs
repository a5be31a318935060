using LdlVk.Vulkan.Kernels;
using Silk.NET.Core;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Device;

/// <summary>The properties of a physical device, as it reports them before it is opened.</summary>
internal sealed unsafe class PhysicalDeviceFacts
{
    /// <summary>The extension to enable for <see cref="HasIntegerDot"/>, besides its feature.</summary>
    public const string IntegerDotExtension = "VK_KHR_shader_integer_dot_product";

    private PhysicalDeviceFacts() { }

    public required PhysicalDeviceProperties Properties { get; init; }
    public required PhysicalDeviceMemoryProperties Memory { get; init; }
    public required string Name { get; init; }
    public required string Driver { get; init; }
    public required uint SubgroupSize { get; init; }
    public required bool HasSubgroupBroadcast { get; init; }

    /// <summary>Whether kernels can request a subgroup size; where there is a single size, they need not.</summary>
    public required bool SetsSubgroupSize { get; init; }
    public required ulong MaxAllocationBytes { get; init; }
    public required uint ComputeQueueFamily { get; init; }
    public required QueueFamilyProperties[] QueueFamilies { get; init; }

    /// <summary>Valid bits of a timestamp on the compute queue; 0 where it has no timestamps.</summary>
    public uint TimestampBits => QueueFamilies[ComputeQueueFamily].TimestampValidBits;

    public required bool HasMemoryBudget { get; init; }
    public required bool HasFloat16 { get; init; }
    public required bool HasInt8 { get; init; }

    /// <summary>Whether it has an instruction for the dot product of four bytes.</summary>
    public required bool HasIntegerDot { get; init; }

    /// <summary>Shared memory of a workgroup in bytes.</summary>
    public required uint SharedBytes { get; init; }

    /// <summary>Invocations of a workgroup, at most.</summary>
    public required uint MaxThreads { get; init; }

    /// <summary>Subgroups of a workgroup, at most, where a kernel requests their size.</summary>
    public required uint MaxSubgroups { get; init; }

    /// <summary>How many cores it has; 0 where its driver does not say.</summary>
    public required int Cores { get; init; }

    /// <summary>Which card this is.</summary>
    public required CardIdentity Card { get; init; }

    /// <summary>Whether a driver for another API computes for this one, as Dozen does for Direct3D 12.</summary>
    public required bool IsLayered { get; init; }

    /// <summary>Which kernels the caller wants.</summary>
    public required KernelChoice Choice { get; init; }

    /// <summary>The rule about this driver; null for none, or where the caller wants matrix units all the same.</summary>
    public required DriverRule? Rule { get; init; }

    /// <summary>Matrix units for fp16; null for none.</summary>
    public required MatrixUnits? MatrixUnits { get; init; }

    /// <summary>Matrix units for fp16 with fp16 sums; null for none.</summary>
    public required MatrixUnits? HalfSumUnits { get; init; }

    /// <summary>Matrix units for int8; null for none.</summary>
    public required MatrixUnits? ByteMatrixUnits { get; init; }

    /// <summary>Matrix units for matrices of flexible size; null for none.</summary>
    public required FlexibleMatrices? FlexibleMatrices { get; init; }
    public required long DeviceBytes { get; init; }
    public required long FreeDeviceBytes { get; init; }

    public DeviceKind Kind => KindOf(Properties.DeviceType);

    /// <summary>
    /// The queue family of a graphics card's copy engines, which move data over the bus while it computes: a family that can only copy.
    /// Null where there is none, or where the device is not a discrete card.
    /// </summary>
    public uint? CopyQueueFamily
    {
        get
        {
            const QueueFlags Copies = QueueFlags.TransferBit | QueueFlags.SparseBindingBit | QueueFlags.ProtectedBit;
            int family = Array.FindIndex(QueueFamilies, f => f.QueueFlags.HasFlag(QueueFlags.TransferBit) && (f.QueueFlags & ~Copies) == 0);
            return Kind == DeviceKind.DiscreteGpu && family >= 0 ? (uint)family : null;
        }
    }

    /// <summary>
    /// Whether the host writes weights directly where the device reads them, if a memory type allows it: host and device share memory, so a
    /// copy through a staging chunk would only read and write the data once more. A graphics card's memory is written by its copy engines
    /// instead: the part that the host can map may be a window of 256 MB, and host writes cross the bus in small pieces, on cores that
    /// could convert the next rows.
    /// </summary>
    public bool SharesHostMemory => Kind is DeviceKind.Software or DeviceKind.IntegratedGpu;

    /// <summary>The device's description for users, if it runs Linear with this family.</summary>
    public DeviceInfo ToInfo(int index, LinearFamily family)
    {
        var version = (Version32)Properties.ApiVersion;
        List<string> features = [$"vulkan {version.Major}.{version.Minor}", $"subgroup {SubgroupSize}"];
        if (HasFloat16) features.Add("fp16");
        if (HasInt8) features.Add("int8");
        if (HasIntegerDot) features.Add("int8 dot");
        if (MatrixUnits is { } units) features.Add($"matrix {units.M}x{units.N}x{units.K}");
        if (HalfSumUnits is not null) features.Add("fp16 sums");
        if (FlexibleMatrices is { } flexible) features.Add($"flexible matrix {flexible.M}x{flexible.N} of {flexible.Invocations}");
        if (Cores > 0) features.Add($"{Cores} cores");
        bool matrix = LinearKernels.UsesMatrixUnits(family, this);
        return new DeviceInfo($"vulkan:{index}", Name, Kind, Driver, DeviceBytes, FreeDeviceBytes, features)
        {
            MatrixOperandBytes = matrix ? OperandKind.MaxBytes : 0,
            Int8OperandBytes = OperandKind.MaxBytes,
            SumsHalves = matrix && HalfSumUnits is not null,
            Kernels = !matrix ? DeviceInfo.PortableKernels
                : Rule?.Use == MatrixUse.Products ? "matrix units but for attention" : "matrix units",
            WhyKernels = WhyKernels(matrix),
            KernelChoice = Choice,
            Cores = Cores,
        };
    }

    private string WhyKernels(bool matrix) =>
        Choice == KernelChoice.Portable ? "as asked for"
        : Rule is { } rule ? $"{rule.Why} ({rule.Source})"
        : MatrixUnits is null ? "the driver offers no matrix units"
        : matrix && Choice == KernelChoice.Matrix ? "as asked for"
        : matrix ? $"the driver offers products of {MatrixUnits.M}x{MatrixUnits.N}x{MatrixUnits.K}"
        : Kind == DeviceKind.Software ? "a software driver computes matrix units element by element"
        : "no tile fits on its matrix units";

    /// <summary>Asks a device.</summary>
    /// <param name="instance">The instance.</param>
    /// <param name="device">The device.</param>
    /// <param name="choice">
    /// The kernels that are wanted. Where they are portable, or a rule forbids others, nothing is asked about matrix units.
    /// </param>
    public static PhysicalDeviceFacts Of(VulkanInstance instance, PhysicalDevice device, KernelChoice choice = KernelChoice.Auto)
    {
        Vk api = instance.Api;
        // The query needs the driver to know the extension; the device need not enable it.
        bool budget = HasExtension(api, device, "VK_EXT_memory_budget");
        var driver = new PhysicalDeviceDriverProperties(sType: StructureType.PhysicalDeviceDriverProperties);
        bool knowsSizes = HasExtension(api, device, "VK_EXT_subgroup_size_control");
        var sizes = new PhysicalDeviceSubgroupSizeControlProperties(pNext: &driver);
        bool knowsDot = HasExtension(api, device, IntegerDotExtension);
        var dots = new PhysicalDeviceShaderIntegerDotProductProperties(pNext: knowsSizes ? &sizes : &driver);
        var subgroup = new PhysicalDeviceSubgroupProperties(pNext: knowsDot ? &dots : dots.PNext);
        bool knowsBuffers = HasExtension(api, device, "VK_KHR_maintenance4");
        var buffers = new PhysicalDeviceMaintenance4Properties(pNext: &subgroup);
        bool knowsBus = HasExtension(api, device, "VK_EXT_pci_bus_info");
        var bus = new PhysicalDevicePCIBusInfoPropertiesEXT(pNext: knowsBuffers ? &buffers : &subgroup);
        var id = new PhysicalDeviceIDProperties(pNext: knowsBus ? &bus : bus.PNext);
        var maintenance = new PhysicalDeviceMaintenance3Properties(pNext: &id);
        var properties = new PhysicalDeviceProperties2(pNext: &maintenance);
        api.GetPhysicalDeviceProperties2(device, &properties);

        var free = new PhysicalDeviceMemoryBudgetPropertiesEXT(sType: StructureType.PhysicalDeviceMemoryBudgetPropertiesExt);
        var memory = new PhysicalDeviceMemoryProperties2(pNext: budget ? &free : null);
        api.GetPhysicalDeviceMemoryProperties2(device, &memory);
        uint heap = DeviceHeap(memory.MemoryProperties);
        ulong total = memory.MemoryProperties.MemoryHeaps[(int)heap].Size;
        ulong ours = free.HeapBudget[(int)heap], used = free.HeapUsage[(int)heap];
        ulong available = budget ? Math.Min(total, ours - Math.Min(used, ours)) : total;

        var dot = new PhysicalDeviceShaderIntegerDotProductFeatures(sType: StructureType.PhysicalDeviceShaderIntegerDotProductFeatures);
        var v12 = new PhysicalDeviceVulkan12Features(sType: StructureType.PhysicalDeviceVulkan12Features, pNext: knowsDot ? &dot : null);
        var features = new PhysicalDeviceFeatures2(pNext: &v12);
        api.GetPhysicalDeviceFeatures2(device, &features);
        PhysicalDeviceProperties p = properties.Properties;
        DeviceKind kind = KindOf(p.DeviceType);
        DriverRule? rule = choice != KernelChoice.Auto ? null : DriverRule.For(new DriverIdentity(
            p.VendorID, p.DeviceID, driver.DriverID, p.DriverVersion, kind, sizes.MinSubgroupSize,
            dots.IntegerDotProduct4x8BitPackedMixedSignednessAccelerated));
        (MatrixUnits? halves, MatrixUnits? halfSums, MatrixUnits? bytes) =
            choice == KernelChoice.Portable || rule?.Use == MatrixUse.None ? (null, null, null)
            : MatrixUnits.Of(api, instance.Handle, device, p.VendorID, subgroup.SubgroupSize, sizes);
        return new PhysicalDeviceFacts
        {
            Properties = p,
            Memory = memory.MemoryProperties,
            Name = NativeStrings.Read(p.DeviceName),
            Driver = $"{NativeStrings.Read(driver.DriverName)} {NativeStrings.Read(driver.DriverInfo)}".Trim(),
            SubgroupSize = subgroup.SubgroupSize,
            HasSubgroupBroadcast = subgroup.SupportedStages.HasFlag(ShaderStageFlags.ComputeBit)
                && subgroup.SupportedOperations.HasFlag(SubgroupFeatureFlags.BallotBit),
            SetsSubgroupSize = sizes.RequiredSubgroupSizeStages.HasFlag(ShaderStageFlags.ComputeBit),
            MaxAllocationBytes =
                knowsBuffers ? Math.Min(maintenance.MaxMemoryAllocationSize, buffers.MaxBufferSize) : maintenance.MaxMemoryAllocationSize,
            ComputeQueueFamily = DeviceRequirements.ComputeFamilyOf(api, device) ?? 0,
            QueueFamilies = DeviceRequirements.QueueFamiliesOf(api, device),
            HasMemoryBudget = budget,
            HasFloat16 = v12.ShaderFloat16,
            HasInt8 = v12.ShaderInt8,
            HasIntegerDot = dot.ShaderIntegerDotProduct,
            SharedBytes = p.Limits.MaxComputeSharedMemorySize,
            MaxThreads = Math.Min(p.Limits.MaxComputeWorkGroupInvocations, p.Limits.MaxComputeWorkGroupSize[0]),
            MaxSubgroups = knowsSizes ? sizes.MaxComputeWorkgroupSubgroups : uint.MaxValue,
            Cores = CoreCount.Of(api, device),
            Card = new CardIdentity(
                knowsBus ? (bus.PciDomain, bus.PciBus, bus.PciDevice, bus.PciFunction) : null,
                id.DeviceLuidvalid ? BitConverter.ToUInt64(new ReadOnlySpan<byte>(id.DeviceLuid, 8)) : null,
                new Guid(new ReadOnlySpan<byte>(id.DeviceUuid, 16))),
            IsLayered = driver.DriverID == DriverId.MesaDozen,
            Choice = choice,
            Rule = rule,
            MatrixUnits = halves,
            HalfSumUnits = halfSums,
            ByteMatrixUnits = bytes,
            FlexibleMatrices = FlexibleMatrices.Of(api, instance.Handle, device, halves),
            DeviceBytes = (long)total,
            FreeDeviceBytes = (long)available,
        };
    }

    private static DeviceKind KindOf(PhysicalDeviceType type) => type switch
    {
        PhysicalDeviceType.DiscreteGpu => DeviceKind.DiscreteGpu,
        PhysicalDeviceType.IntegratedGpu => DeviceKind.IntegratedGpu,
        PhysicalDeviceType.VirtualGpu => DeviceKind.VirtualGpu,
        _ => DeviceKind.Software,
    };

    public static bool HasExtension(Vk api, PhysicalDevice device, string name) =>
        Array.Exists(Extensions(api, device), e => NativeStrings.Read(e.ExtensionName) == name);

    /// <summary>The extensions that a driver lists.</summary>
    public static ExtensionProperties[] Extensions(Vk api, PhysicalDevice device)
    {
        uint count = 0;
        if (api.EnumerateDeviceExtensionProperties(device, (byte*)null, ref count, null) < Result.Success) return [];
        var extensions = new ExtensionProperties[count];
        fixed (ExtensionProperties* p = extensions) api.EnumerateDeviceExtensionProperties(device, (byte*)null, ref count, p);
        return extensions;
    }

    /// <summary>
    /// The heap of the first device-local memory type, from which buffers are allocated. Further heaps are the same memory, such as the
    /// window that the host can map, or cannot be relied on.
    /// </summary>
    public static uint DeviceHeap(PhysicalDeviceMemoryProperties memory)
    {
        for (int i = 0; i < memory.MemoryTypeCount; i++)
            if (memory.MemoryTypes[i].PropertyFlags.HasFlag(MemoryPropertyFlags.DeviceLocalBit)) return memory.MemoryTypes[i].HeapIndex;
        return 0;
    }
}
