namespace LdlVk.Vulkan.Device;

/// <summary>
/// Counts the users of the logical device and its instance, which are destroyed with the last: the open device, and each weight pinned for
/// it. Other devices can read a pinned weight after this device is closed, and its memory is a child object of the device.
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
