using LdlVk.Vulkan.Device;
using Silk.NET.Vulkan;
using Buffer = Silk.NET.Vulkan.Buffer;

namespace LdlVk.Vulkan.Memory;

/// <summary>A buffer in memory that the host has mapped.</summary>
internal sealed unsafe class HostBuffer : IDisposable
{
    public const MemoryPropertyFlags Mappable = MemoryPropertyFlags.HostVisibleBit | MemoryPropertyFlags.HostCoherentBit;

    private readonly Vk _api;
    private readonly VkDevice _device;
    private readonly DeviceMemory _memory;
    private readonly void* _mapped;
    private readonly ulong _length;

    private HostBuffer(Vk api, VkDevice device, DeviceMemory memory, Buffer buffer, void* mapped, ulong length)
    {
        (_api, _device, _memory, Buffer, _length) = (api, device, memory, buffer, length);
        _mapped = mapped;
    }

    public Buffer Buffer { get; }

    /// <summary>The first byte.</summary>
    public byte* Mapped => (byte*)_mapped;

    /// <summary>All bytes of a buffer below 2 GiB.</summary>
    public Span<byte> Bytes => new(_mapped, checked((int)_length));

    /// <summary>Makes a mapped buffer; memory type and sharing are as in <see cref="MemoryAllocator.CreateBuffer"/>.</summary>
    public static HostBuffer Create(
        Vk api, VkDevice device, PhysicalDeviceFacts facts, ulong bytes, string use, ReadOnlySpan<uint> families,
        params ReadOnlySpan<MemoryPropertyFlags> wanted)
    {
        (DeviceMemory memory, Buffer buffer, _, _) = MemoryAllocator.CreateBuffer(
            api, device, facts, bytes, BufferUsageFlags.TransferSrcBit | BufferUsageFlags.TransferDstBit, wanted,
            () => $" ({bytes >> 20} MiB of host memory for {use})", families);
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
