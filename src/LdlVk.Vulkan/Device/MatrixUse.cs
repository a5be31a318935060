namespace LdlVk.Vulkan.Device;

/// <summary>What matrix units are used for.</summary>
internal enum MatrixUse
{
    /// <summary>Nothing; the driver is not even asked what it has.</summary>
    None,
    /// <summary>Products of Linear and GatedLinear, but not attention.</summary>
    Products,
    /// <summary>Products and attention.</summary>
    All,
}
