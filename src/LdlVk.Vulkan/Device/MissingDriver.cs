using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Device;

/// <summary>What to do where the Vulkan loader finds no driver: on a machine, in a container, in one of NVIDIA's toolkit.</summary>
internal static class MissingDriver
{
    private const string Devices = "NVIDIA_VISIBLE_DEVICES", Capabilities = "NVIDIA_DRIVER_CAPABILITIES", Graphics = "graphics";

    private const string Begin = "the Vulkan loader found no usable driver; ";

    /// <summary>Variables that say which drivers the loader reads; the first counts.</summary>
    private static readonly string[] DriverFiles = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"];

    /// <summary>The reason and the way on, for this process.</summary>
    public static string Reason => ReasonFor(
        Environment.GetEnvironmentVariable, File.Exists("/.dockerenv") || File.Exists("/run/.containerenv"));

    /// <summary>Why there is no instance where a driver, or the file that describes it, is at fault.</summary>
    /// <param name="result">The loader's answer.</param>
    /// <param name="variable">Returns a variable of the environment.</param>
    public static string BrokenDriver(Result result, Func<string, string?> variable) =>
        $"vkCreateInstance answered {result}; a driver, or the file that describes it, may be broken: {Chosen(variable)}"
        + "VK_LOADER_DEBUG=error,warn in the environment shows which";

    /// <summary>Whether NVIDIA's container toolkit was asked for a card.</summary>
    /// <param name="variable">Returns a variable of the environment.</param>
    public static bool IsWithToolkit(Func<string, string?> variable) =>
        variable(Devices) is { Length: > 0 } devices && devices is not ("void" or "none");

    /// <summary>The reason and the way on.</summary>
    /// <param name="variable">Returns a variable of the environment.</param>
    /// <param name="hasContainerFile">Whether a file says that this is a container.</param>
    public static string ReasonFor(Func<string, string?> variable, bool hasContainerFile)
    {
        if (Chosen(variable) is { Length: > 0 } chosen)
            return $"{Begin}{chosen}VK_LOADER_DEBUG=error,warn in the environment shows what the loader finds there";
        if (IsWithToolkit(variable))
        {
            string? given = variable(Capabilities);
            bool hasGraphics = given is not null && given.Split(',').Any(word => word.Trim() is Graphics or "all");
            return Begin + (hasGraphics
                ? "NVIDIA's container toolkit has brought none into this container: start it with a GPU, where NVIDIA's driver is"
                : $"NVIDIA's container toolkit brings it if {Capabilities} has {Graphics} in it; it is {given ?? "not set"}");
        }

        bool isContainer = hasContainerFile || variable("container") is { Length: > 0 } || variable("KUBERNETES_SERVICE_HOST") is not null;
        return Begin + (isContainer
            ? "in a container, install the GPU's driver in the image (on Debian/Ubuntu: apt install mesa-vulkan-drivers) and pass "
            + $"/dev/dri in; or use NVIDIA's container toolkit with {Capabilities}={Graphics},compute,utility"
            : "install the GPU's driver (on Debian/Ubuntu: apt install mesa-vulkan-drivers)");
    }

    /// <summary>What to do where the environment says which drivers there are; empty where it does not.</summary>
    private static string Chosen(Func<string, string?> variable) =>
        DriverFiles.FirstOrDefault(name => variable(name) is { Length: > 0 }) is { } set
            ? $"correct {set}, which is {variable(set)}, or unset it; " : "";
}
