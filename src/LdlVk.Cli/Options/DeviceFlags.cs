using System.CommandLine;

namespace LdlVk.Cli.Options;

/// <summary>The flags of commands that run on devices.</summary>
internal static class DeviceFlags
{
    /// <summary>--device, of commands that use several.</summary>
    public static Option<string> CreateDevices() => ModelFlags.Choice("--device", "auto|cpu|vulkan|vulkan:N|…,…",
        "Where to run. auto: the best GPU on which the model fits, all GPUs if it fits on none, or the CPU if there is no GPU; "
        + "never a software driver. vulkan: the best Vulkan device. Several devices, such as vulkan:0,vulkan:1, share the layers. "
        + "See ldlvk devices.");

    /// <summary>--device, of commands that use one.</summary>
    public static Option<string> CreateDevice() => ModelFlags.Choice("--device", "auto|cpu|vulkan|vulkan:N",
        "Where to run. auto: the best GPU, else the CPU; never a software driver. vulkan: the best Vulkan device. See ldlvk devices.");

    /// <summary>--kernels.</summary>
    public static Option<string> CreateKernels() => ModelFlags.Choice("--kernels", ModelValues.KernelChoices,
        "Kernels of Vulkan devices. auto: matrix units, unless the device has none or its driver is known to fail on them "
        + "(LDLVK_KERNELS sets another default). The last bits of the scores differ. See ldlvk devices.");
}
