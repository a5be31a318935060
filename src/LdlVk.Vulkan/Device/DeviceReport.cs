using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Text.Json;
using Silk.NET.Core;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Device;

/// <summary>
/// All that a driver tells about itself and its device, by Vulkan's own names: identity, limits, features, queues, memory, extensions and
/// the sizes of matrices. Nothing in it tells one card of a model from another.
/// </summary>
internal sealed unsafe class DeviceReport(VulkanInstance instance, PhysicalDevice device, PhysicalDeviceFacts facts, Utf8JsonWriter json)
{
    private readonly Vk _api = instance.Api;
    private readonly ExtensionProperties[] _extensions = PhysicalDeviceFacts.Extensions(instance.Api, device);

    /// <summary>Writes it as members of an object.</summary>
    public void Write()
    {
        Identity();
        Properties();
        Features();
        json.WriteStartArray("queue_families");
        foreach (QueueFamilyProperties family in facts.QueueFamilies) Object(null, typeof(QueueFamilyProperties), family);
        json.WriteEndArray();
        Memory();
        json.WriteStartArray("cooperative_matrices");
        // Where a rule forbids matrix units, asking for them can crash the driver.
        if (facts.Rule?.Use != MatrixUse.None && Has("VK_KHR_cooperative_matrix"))
            foreach (CooperativeMatrixPropertiesKHR shape in MatrixUnits.Shapes(_api, instance.Handle, device))
                Object(null, typeof(CooperativeMatrixPropertiesKHR), shape);
        json.WriteEndArray();
        json.WriteStartArray("extensions");
        foreach (ExtensionProperties extension in _extensions)
            json.WriteStringValue($"{NativeStrings.Read(extension.ExtensionName)} {extension.SpecVersion}");
        json.WriteEndArray();
    }

    private void Identity()
    {
        PhysicalDeviceProperties p = facts.Properties;
        var driver = new PhysicalDeviceDriverProperties(sType: StructureType.PhysicalDeviceDriverProperties);
        Ask(&driver);
        json.WriteStartObject("identity");
        var api = (Version32)p.ApiVersion;
        json.WriteString("apiVersion", $"{api.Major}.{api.Minor}.{api.Patch}");
        json.WriteString("vendorID", $"0x{p.VendorID:x4}");
        json.WriteString("deviceID", $"0x{p.DeviceID:x4}");
        json.WriteNumber("driverVersion", p.DriverVersion);
        json.WriteString("driverID", driver.DriverID.ToString());
        json.WriteString("driverName", NativeStrings.Read(driver.DriverName));
        json.WriteString("driverInfo", NativeStrings.Read(driver.DriverInfo));
        ConformanceVersion v = driver.ConformanceVersion;
        json.WriteString("conformanceVersion", $"{v.Major}.{v.Minor}.{v.Subminor}.{v.Patch}");
        json.WriteString("deviceType", p.DeviceType.ToString());
        json.WriteEndObject();
    }

    private void Properties()
    {
        json.WriteStartObject("limits");
        PhysicalDeviceLimits limits = facts.Properties.Limits;
        Members(typeof(PhysicalDeviceLimits), limits);
        // Arrays are no fields that reflection reads.
        Array("maxComputeWorkGroupCount", limits.MaxComputeWorkGroupCount);
        Array("maxComputeWorkGroupSize", limits.MaxComputeWorkGroupSize);
        json.WriteEndObject();
        json.WriteStartObject("properties");
        var subgroup = new PhysicalDeviceSubgroupProperties(sType: StructureType.PhysicalDeviceSubgroupProperties);
        Ask(&subgroup);
        Object("subgroup", typeof(PhysicalDeviceSubgroupProperties), subgroup);
        var maintenance3 = new PhysicalDeviceMaintenance3Properties(sType: StructureType.PhysicalDeviceMaintenance3Properties);
        Ask(&maintenance3);
        Object("maintenance3", typeof(PhysicalDeviceMaintenance3Properties), maintenance3);
        var maintenance4 = new PhysicalDeviceMaintenance4Properties(sType: StructureType.PhysicalDeviceMaintenance4Properties);
        if (Ask(&maintenance4, "VK_KHR_maintenance4")) Object("maintenance4", typeof(PhysicalDeviceMaintenance4Properties), maintenance4);
        var sizes = new PhysicalDeviceSubgroupSizeControlProperties(
            sType: StructureType.PhysicalDeviceSubgroupSizeControlProperties);
        if (Ask(&sizes, "VK_EXT_subgroup_size_control"))
            Object("subgroupSizeControl", typeof(PhysicalDeviceSubgroupSizeControlProperties), sizes);
        var dots = new PhysicalDeviceShaderIntegerDotProductProperties(
            sType: StructureType.PhysicalDeviceShaderIntegerDotProductProperties);
        if (Ask(&dots, PhysicalDeviceFacts.IntegerDotExtension))
            Object("integerDotProduct", typeof(PhysicalDeviceShaderIntegerDotProductProperties), dots);
        var matrix = new PhysicalDeviceCooperativeMatrixPropertiesKHR(
            sType: StructureType.PhysicalDeviceCooperativeMatrixPropertiesKhr);
        if (Ask(&matrix, "VK_KHR_cooperative_matrix"))
            Object("cooperativeMatrix", typeof(PhysicalDeviceCooperativeMatrixPropertiesKHR), matrix);
        var nvidia = new PhysicalDeviceShaderSMBuiltinsPropertiesNV(sType: StructureType.PhysicalDeviceShaderSMBuiltinsPropertiesNV);
        if (Ask(&nvidia, "VK_NV_shader_sm_builtins"))
            Object("shaderSMBuiltinsNV", typeof(PhysicalDeviceShaderSMBuiltinsPropertiesNV), nvidia);
        var amd = new PhysicalDeviceShaderCorePropertiesAMD(sType: StructureType.PhysicalDeviceShaderCorePropertiesAmd);
        if (Ask(&amd, "VK_AMD_shader_core_properties"))
            Object("shaderCoreAMD", typeof(PhysicalDeviceShaderCorePropertiesAMD), amd);
        json.WriteEndObject();
    }

    private void Features()
    {
        var dot = new PhysicalDeviceShaderIntegerDotProductFeatures(sType: StructureType.PhysicalDeviceShaderIntegerDotProductFeatures);
        var matrix = new PhysicalDeviceCooperativeMatrixFeaturesKHR(sType: StructureType.PhysicalDeviceCooperativeMatrixFeaturesKhr);
        var sizes = new PhysicalDeviceSubgroupSizeControlFeatures(sType: StructureType.PhysicalDeviceSubgroupSizeControlFeatures);
        // A driver ignores the structures of extensions that it has not.
        var v12 = new PhysicalDeviceVulkan12Features(sType: StructureType.PhysicalDeviceVulkan12Features);
        var v11 = new PhysicalDeviceVulkan11Features(sType: StructureType.PhysicalDeviceVulkan11Features, pNext: &v12);
        v12.PNext = Has(PhysicalDeviceFacts.IntegerDotExtension) ? &dot : null;
        dot.PNext = Has("VK_KHR_cooperative_matrix") ? &matrix : null;
        var all = new PhysicalDeviceFeatures2(pNext: &v11);
        _api.GetPhysicalDeviceFeatures2(device, &all);
        if (Has("VK_EXT_subgroup_size_control"))
        {
            var more = new PhysicalDeviceFeatures2(pNext: &sizes);
            _api.GetPhysicalDeviceFeatures2(device, &more);
        }

        json.WriteStartObject("features");
        Members(typeof(PhysicalDeviceFeatures), all.Features);
        Members(typeof(PhysicalDeviceVulkan11Features), v11);
        Members(typeof(PhysicalDeviceVulkan12Features), v12);
        Members(typeof(PhysicalDeviceShaderIntegerDotProductFeatures), dot);
        Members(typeof(PhysicalDeviceCooperativeMatrixFeaturesKHR), matrix);
        Members(typeof(PhysicalDeviceSubgroupSizeControlFeatures), sizes);
        json.WriteEndObject();
    }

    private void Memory()
    {
        PhysicalDeviceMemoryProperties memory = facts.Memory;
        json.WriteStartArray("memory_heaps");
        for (int i = 0; i < memory.MemoryHeapCount; i++) Object(null, typeof(MemoryHeap), memory.MemoryHeaps[i]);
        json.WriteEndArray();
        json.WriteStartArray("memory_types");
        for (int i = 0; i < memory.MemoryTypeCount; i++) Object(null, typeof(MemoryType), memory.MemoryTypes[i]);
        json.WriteEndArray();
    }

    private bool Has(string extension) =>
        System.Array.Exists(_extensions, e => NativeStrings.Read(e.ExtensionName) == extension);

    /// <summary>Fills in a structure of properties, where the device has the extension that it belongs to.</summary>
    private bool Ask(void* structure, string? extension = null)
    {
        if (extension is not null && !Has(extension)) return false;
        var properties = new PhysicalDeviceProperties2(pNext: structure);
        _api.GetPhysicalDeviceProperties2(device, &properties);
        return true;
    }

    private void Object(
        string? name, [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] Type type, object structure)
    {
        if (name is null) json.WriteStartObject();
        else json.WriteStartObject(name);
        Members(type, structure);
        json.WriteEndObject();
    }

    /// <summary>Writes the fields of a structure that are numbers, flags or names.</summary>
    private void Members([DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicFields)] Type type, object structure)
    {
        foreach (FieldInfo field in type.GetFields(BindingFlags.Public | BindingFlags.Instance))
        {
            if (field.Name is "SType" or "PNext") continue;
            string name = JsonNamingPolicy.CamelCase.ConvertName(field.Name);
            switch (field.GetValue(structure))
            {
                case Bool32 value: json.WriteBoolean(name, value); break;
                case float value when float.IsFinite(value): json.WriteNumber(name, value); break;
                case uint value: json.WriteNumber(name, value); break;
                case int value: json.WriteNumber(name, value); break;
                case ulong value: json.WriteNumber(name, value); break;
                case long value: json.WriteNumber(name, value); break;
                case nuint value: json.WriteNumber(name, value); break;
                case Enum value: json.WriteString(name, value.ToString()); break;
            }
        }
    }

    private void Array(string name, uint* values)
    {
        json.WriteStartArray(name);
        for (int i = 0; i < 3; i++) json.WriteNumberValue(values[i]);
        json.WriteEndArray();
    }
}
