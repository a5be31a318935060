namespace LdlVk.Vulkan.Device;

/// <summary>
/// The logical device and its instance, which are destroyed when the last that holds them lets go: the open device, and each weight that
/// is pinned for it. A pinned weight is of use to other devices after this one is closed, and its memory is the device's child.
/// </summary>
internal sealed unsafe class DeviceHandles(VulkanInstance instance, VkDevice device)
{
    private int _holders = 1;

    public void Hold() => Interlocked.Increment(ref _holders);

    public void LetGo()
    {
        if (Interlocked.Decrement(ref _holders) > 0) return;
        instance.Api.DestroyDevice(device, null);
        instance.Dispose();
    }
}
