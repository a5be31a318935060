using Silk.NET.Vulkan;
using Buffer = Silk.NET.Vulkan.Buffer;

namespace LdlVk.Vulkan;

/// <summary>A buffer in memory that the host has mapped.</summary>
internal sealed unsafe class HostBuffer : IDisposable
{
    public const MemoryPropertyFlags Mappable = MemoryPropertyFlags.HostVisibleBit | MemoryPropertyFlags.HostCoherentBit;

    private readonly Vk _api;
    private readonly Device _device;
    private readonly DeviceMemory _memory;
    private readonly void* _mapped;
    private readonly int _length;

    private HostBuffer(Vk api, Device device, DeviceMemory memory, Buffer buffer, void* mapped, int length)
    {
        (_api, _device, _memory, Buffer, _length) = (api, device, memory, buffer, length);
        _mapped = mapped;
    }

    public Buffer Buffer { get; }

    public Span<byte> Bytes => new(_mapped, _length);

    /// <summary>Makes one of the first of the wanted property sets that a memory type offers.</summary>
    public static HostBuffer Create(Vk api, Device device, PhysicalDeviceFacts facts, int bytes, params ReadOnlySpan<MemoryPropertyFlags> wanted)
    {
        (DeviceMemory memory, Buffer buffer) = MemoryAllocator.CreateBuffer(api, device, facts, (ulong)bytes,
            BufferUsageFlags.TransferSrcBit | BufferUsageFlags.TransferDstBit, wanted, () => $" ({bytes >> 20} MiB of staging memory)");
        void* mapped;
        Result result = api.MapMemory(device, memory, 0, Vk.WholeSize, 0, &mapped);
        var made = new HostBuffer(api, device, memory, buffer, mapped, bytes);
        if (result != Result.Success) made.Dispose();
        result.Check("vkMapMemory");
        return made;
    }

    public void Dispose()
    {
        _api.DestroyBuffer(_device, Buffer, null);
        _api.FreeMemory(_device, _memory, null);
    }
}
