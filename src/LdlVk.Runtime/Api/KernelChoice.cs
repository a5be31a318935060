namespace LdlVk;

/// <summary>Which kernels a Vulkan device runs. Kernels on matrix units and portable ones differ in the last bits of a score.</summary>
public enum KernelChoice
{
    /// <summary>Matrix units where the device has them and no rule says that its driver computes slowly or wrongly on them.</summary>
    Auto,
    /// <summary>Portable kernels, which compute in fp32 and take nothing but Vulkan 1.2.</summary>
    Portable,
    /// <summary>Matrix units, whatever is known about the driver.</summary>
    Matrix,
}
