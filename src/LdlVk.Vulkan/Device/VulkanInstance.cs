using Silk.NET.Core;
using Silk.NET.Core.Loader;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Device;

/// <summary>The Vulkan loader and one instance, whose handle it owns: finds the physical devices.</summary>
internal sealed unsafe class VulkanInstance : IDisposable
{
    private const string NoLoader = "no Vulkan loader (libvulkan.so.1 or vulkan-1.dll) was found; install the GPU's driver "
        + "(on Debian/Ubuntu: apt install libvulkan1 mesa-vulkan-drivers)";

    /// <summary>Vulkan 1.2 brings timeline semaphores and buffer device addresses into core; nothing newer is required.</summary>
    private static readonly Version32 RequiredVersion = Vk.Version12;

    public Vk Api { get; }

    public Instance Handle { get; private set; }

    private VulkanInstance(Vk api, Instance handle) => (Api, Handle) = (api, handle);

    /// <summary>Opens the loader; null, with a reason, where this machine has none or it is too old.</summary>
    public static VulkanInstance? TryCreate(Func<Vk> loader, out string? whyNot)
    {
        Vk? api = null;
        try
        {
            api = loader();
            Result result = Create(api, out Instance instance);
            whyNot = result switch
            {
                Result.Success => null,
                Result.ErrorIncompatibleDriver => MissingDriver.Reason,
                _ => MissingDriver.BrokenDriver(result, Environment.GetEnvironmentVariable),
            };
            if (whyNot is null) return new VulkanInstance(api, instance);
        }
        catch (Exception e)
            when (e is FileNotFoundException or DllNotFoundException or EntryPointNotFoundException or SymbolLoadingException)
        {
            whyNot = NoLoader;
        }

        api?.Dispose();
        return null;
    }

    /// <summary>The physical devices that can run the backend, in the loader's order, and why the others cannot.</summary>
    public IReadOnlyList<PhysicalDevice> PhysicalDevices(out string? whyNot)
    {
        whyNot = MissingDriver.Reason;
        PhysicalDevice[] devices = All();
        if (devices.Length == 0) return [];
        List<PhysicalDevice> usable = [];
        List<string> reasons = [];
        foreach (PhysicalDevice device in devices)
        {
            if (DeviceRequirements.Of(Api, device).Unmet() is { } reason) reasons.Add(reason);
            else usable.Add(device);
        }

        whyNot = reasons.Count == 0 ? null : string.Join("; ", reasons);
        return usable;
    }

    /// <summary>Why graphics cards cannot run the backend, whether or not other devices can.</summary>
    public IEnumerable<string> RefusedCards() =>
        All().Select(device => DeviceRequirements.Of(Api, device)).Where(card => !card.IsSoftware).Select(card => card.Unmet())
            .OfType<string>();

    private PhysicalDevice[] All()
    {
        uint count = 0;
        if (Api.EnumeratePhysicalDevices(Handle, ref count, null) < Result.Success || count == 0) return [];
        var devices = new PhysicalDevice[count];
        fixed (PhysicalDevice* p = devices) Api.EnumeratePhysicalDevices(Handle, ref count, p).Check("vkEnumeratePhysicalDevices");
        return devices[..(int)count];
    }

    private static Result Create(Vk api, out Instance instance)
    {
        // Drivers that are not fully conformant (MoltenVK) are listed only on request.
        bool portability = HasExtension(api, "VK_KHR_portability_enumeration");
        using var names = new NativeStrings("ldlvk");
        using var extensions = new NativeStrings(portability ? ["VK_KHR_portability_enumeration"] : []);
        // The newest version that a kernel is compiled for. Devices of RequiredVersion are listed too.
        byte* name = names.Pointers[0];
        var application = new ApplicationInfo(pApplicationName: name, pEngineName: name, apiVersion: Vk.Version13);
        var create = new InstanceCreateInfo(flags: portability ? InstanceCreateFlags.EnumeratePortabilityBitKhr : 0,
            pApplicationInfo: &application, enabledExtensionCount: extensions.Count, ppEnabledExtensionNames: extensions.Pointers);
        return api.CreateInstance(in create, null, out instance);
    }

    private static bool HasExtension(Vk api, string name)
    {
        uint count = 0;
        if (api.EnumerateInstanceExtensionProperties((byte*)null, ref count, null) < Result.Success) return false;
        var extensions = new ExtensionProperties[count];
        fixed (ExtensionProperties* p = extensions) api.EnumerateInstanceExtensionProperties((byte*)null, ref count, p);
        return Array.Exists(extensions, e => NativeStrings.Read(e.ExtensionName) == name);
    }

    public void Dispose()
    {
        if (Handle.Handle == 0) return;
        Api.DestroyInstance(Handle, null);
        Handle = default;
        Api.Dispose();
    }
}
