using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Device;
using Silk.NET.Vulkan;
using Buffer = Silk.NET.Vulkan.Buffer;

namespace LdlVk.Vulkan.Memory;

/// <summary>The memory that a <see cref="MemoryAllocator"/> takes from the driver.</summary>
internal enum MemoryKind
{
    /// <summary>The device's.</summary>
    Device,
    /// <summary>The device's, mapped where the driver has such.</summary>
    Mapped,
    /// <summary>The host's, which the device can copy to and from.</summary>
    Host,
}

/// <summary>
/// Sub-allocates memory of one kind. Kernels reach it by device address, so neither maxStorageBufferRange (128 MiB on some drivers) nor
/// the number of descriptors limits it.
/// <para>
/// All uses are in the order of one queue with barriers between commands, so a freed range may be allocated again at once. Another queue,
/// or the host, waits for <see cref="MemoryBlock.FreedAt"/> before it fills memory; the compute queue waits for copies to freed ranges.
/// Only a whole block that goes back to the driver must be unused on the device: it is retired until the device has reached the timeline
/// values of its last uses, and the host waits for that only if no other memory is left.
/// </para>
/// </summary>
/// <param name="api">The loader.</param>
/// <param name="device">The device.</param>
/// <param name="facts">Its properties.</param>
/// <param name="stream">The stream that computes.</param>
/// <param name="copies">The stream that copies; null where the first one does.</param>
/// <param name="families">The families of the queues that use the memory.</param>
/// <param name="budget">Counts and limits what is taken from the driver.</param>
/// <param name="kind">The kind.</param>
internal sealed unsafe class MemoryAllocator(
    Vk api, VkDevice device, PhysicalDeviceFacts facts, CommandStream stream, CommandStream? copies, uint[] families, MemoryBudget budget,
    MemoryKind kind) : IDisposable
{
    /// <summary>Device-local memory that the host can write. Drivers list the type that is fastest for the device first.</summary>
    private const MemoryPropertyFlags Writable = MemoryPropertyFlags.DeviceLocalBit | HostBuffer.Mappable;

    private const ulong BlockBytes = 64UL << 20;

    /// <summary>Alignment of every range: a cache line, and enough for 16-byte vector loads.</summary>
    private const ulong Alignment = 256;

    /// <summary>The size of a smaller block is a multiple of this, so that the driver does not round it up past the limit.</summary>
    private const ulong Granularity = 64 << 10;

    private const double MiB = 1 << 20;

    private readonly List<MemoryBlock> _blocks = [];
    private readonly List<(MemoryBlock Block, ulong Until)> _retired = [];

    /// <summary>Bytes handed out now.</summary>
    public long UsedBytes { get; private set; }

    /// <summary>Blocks taken from the driver so far.</summary>
    public int BlocksMade { get; private set; }

    /// <summary>Allocates a range; <paramref name="what"/> names its use in errors.</summary>
    public Allocation Allocate(ulong bytes, Func<string> what)
    {
        bytes = Math.Max(Alignment, (bytes + Alignment - 1) / Alignment * Alignment);
        foreach (MemoryBlock block in _blocks)
            if (block.Take(bytes) is { } offset) return Account(new Allocation(block, offset, bytes));
        RetireUnused();
        MemoryBlock fresh = CreateBlockFor(bytes, what);
        _blocks.Add(fresh);
        return Account(new Allocation(fresh, fresh.Take(bytes)!.Value, bytes));
    }

    /// <summary>Frees a range.</summary>
    /// <param name="allocation">The range.</param>
    /// <param name="copiedUntil">The value of the copies' timeline at which the last copy to it is done; 0 if there was none.</param>
    public void Free(Allocation allocation, ulong copiedUntil)
    {
        MemoryBlock block = allocation.Block;
        (block.FreedAt, block.CopiedUntil) = (stream.Recorded, Math.Max(block.CopiedUntil, copiedUntil));
        block.Give(allocation.Offset, allocation.Size);
        UsedBytes -= (long)allocation.Size;
    }

    public void Dispose()
    {
        foreach (MemoryBlock block in _blocks.Concat(_retired.Select(r => r.Block))) Destroy(block);
        _blocks.Clear();
        _retired.Clear();
        UsedBytes = 0;
    }

    private Allocation Account(Allocation allocation)
    {
        UsedBytes += (long)allocation.Size;
        return allocation;
    }

    private void RetireUnused()
    {
        _retired.AddRange(_blocks.Where(b => b.IsUnused).Select(b => (b, stream.Recorded)));
        _blocks.RemoveAll(b => b.IsUnused);
        DestroyRetired();
    }

    private void DestroyRetired()
    {
        // Timeline values ascend along the list.
        int done = 0;
        while (done < _retired.Count && IsDone(_retired[done].Block, _retired[done].Until)) Destroy(_retired[done++].Block);
        _retired.RemoveRange(0, done);
    }

    private bool IsDone(MemoryBlock block, ulong until) =>
        until < stream.Pending && stream.Reached(until) && (copies is null || copies.Reached(block.CopiedUntil));

    private MemoryBlock CreateBlockFor(ulong bytes, Func<string> what)
    {
        if (bytes > facts.MaxAllocationBytes)
        {
            throw new DeviceException(
                $"{facts.Name} allows allocations of at most {facts.MaxAllocationBytes >> 20} MiB, and {Mebibytes(bytes)} MiB are needed "
                + $"in one piece for {what()}. Use smaller weights ({OptionName.Weights.Of("int8 or int4")}), a smaller "
                + $"{OptionName.BatchTokens}, or another device.",
                failure: DeviceFailure.OutOfMemory);
        }

        // Less than a whole block may be left below the limit.
        ulong size = Math.Max(bytes, Math.Min(Math.Min(BlockBytes, facts.MaxAllocationBytes), budget.Left / Granularity * Granularity));
        try
        {
            return CreateBlock(size, what);
        }
        catch (DeviceException e) when (e.Failure == DeviceFailure.OutOfMemory && _retired.Count > 0)
        {
            stream.Finish();
            copies?.Finish();
            DestroyRetired();
            return CreateBlockFor(bytes, what);
        }
        catch (DeviceException e) when (e.Failure == DeviceFailure.OutOfMemory && size > bytes)
        {
            // There is no room for a whole block, but there may be for the bytes needed.
            return CreateBlock(bytes, what);
        }
    }

    private MemoryBlock CreateBlock(ulong size, Func<string> what)
    {
        const BufferUsageFlags Usage = BufferUsageFlags.StorageBufferBit | BufferUsageFlags.TransferSrcBit | BufferUsageFlags.TransferDstBit
            | BufferUsageFlags.ShaderDeviceAddressBit;
        ReadOnlySpan<MemoryPropertyFlags> wanted = kind switch
        {
            MemoryKind.Device => [MemoryPropertyFlags.DeviceLocalBit],
            MemoryKind.Mapped => [Writable, MemoryPropertyFlags.DeviceLocalBit],
            _ => [HostBuffer.Mappable | MemoryPropertyFlags.HostCachedBit, HostBuffer.Mappable],
        };
        (DeviceMemory memory, Buffer buffer, ulong taken, MemoryPropertyFlags flags) = CreateBuffer(api, device, facts, size, Usage, wanted,
            () => $" ({what()}: {Mebibytes(size)} MiB more on {facts.Name}, {Mebibytes((ulong)UsedBytes)} MiB in use)", families, budget);
        BlocksMade++;
        var info = new BufferDeviceAddressInfo(buffer: buffer);
        ulong address = api.GetBufferDeviceAddress(device, in info);
        bool isMapped = kind == MemoryKind.Mapped && flags.HasFlag(Writable);
        return new MemoryBlock(memory, buffer, address, size, taken, isMapped ? TryMap(memory) : null);
    }

    /// <summary>Maps memory; null where the driver refuses, and the memory is filled through staging chunks.</summary>
    private byte* TryMap(DeviceMemory memory)
    {
        void* host;
        return api.MapMemory(device, memory, 0, Vk.WholeSize, 0, &host) == Result.Success ? (byte*)host : null;
    }

    private void Destroy(MemoryBlock block)
    {
        api.DestroyBuffer(device, block.Buffer, null);
        api.FreeMemory(device, block.Memory, null);
        budget.Give(block.Taken);
    }

    private static ulong Mebibytes(ulong bytes) => (bytes + (1 << 20) - 1) >> 20;

    /// <summary>
    /// Makes a buffer with memory of its own, from the first memory type that has one of the wanted property sets, in the order of these;
    /// it is shared between the queue families, if several are given. The memory counts in the budget, if there is one.
    /// </summary>
    public static (DeviceMemory Memory, Buffer Buffer, ulong Taken, MemoryPropertyFlags Kind) CreateBuffer(
        Vk api, VkDevice device, PhysicalDeviceFacts facts, ulong size, BufferUsageFlags usage, ReadOnlySpan<MemoryPropertyFlags> wanted,
        Func<string> context, ReadOnlySpan<uint> families = default, MemoryBudget? budget = null)
    {
        Buffer buffer;
        fixed (uint* sharing = families)
        {
            SharingMode mode = families.Length > 1 ? SharingMode.Concurrent : SharingMode.Exclusive;
            var create = new BufferCreateInfo(size: size, usage: usage, sharingMode: mode,
                queueFamilyIndexCount: (uint)families.Length, pQueueFamilyIndices: sharing);
            api.CreateBuffer(device, in create, null, out buffer).Check("vkCreateBuffer");
        }

        DeviceMemory memory = default;
        try
        {
            api.GetBufferMemoryRequirements(device, buffer, out MemoryRequirements requirements);
            if (budget is not null && requirements.Size > budget.Left)
            {
                throw new DeviceException(
                    $"The memory limit of {budget.Limit / MiB:F1} MiB on {facts.Name} is reached{context()}: "
                    + $"{budget.Held / MiB:F1} MiB are taken. Give it more ({OptionName.Memory}), or use smaller weights "
                    + $"({OptionName.Weights.Of("int8 or int4")}) or a smaller {OptionName.BatchTokens}.",
                    failure: DeviceFailure.OutOfMemory);
            }

            var flags = new MemoryAllocateFlagsInfo(
                flags: usage.HasFlag(BufferUsageFlags.ShaderDeviceAddressBit) ? MemoryAllocateFlags.DeviceAddressBit : 0);
            uint type = MemoryType(facts, requirements.MemoryTypeBits, wanted);
            var allocate = new MemoryAllocateInfo(pNext: &flags, allocationSize: requirements.Size, memoryTypeIndex: type);
            api.AllocateMemory(device, in allocate, null, out memory).Check("vkAllocateMemory" + context());
            api.BindBufferMemory(device, buffer, memory, 0).Check("vkBindBufferMemory");
            budget?.Take(requirements.Size);
            return (memory, buffer, requirements.Size, facts.Memory.MemoryTypes[(int)type].PropertyFlags);
        }
        catch
        {
            api.DestroyBuffer(device, buffer, null);
            if (memory.Handle != 0) api.FreeMemory(device, memory, null);
            throw;
        }
    }

    private static uint MemoryType(PhysicalDeviceFacts facts, uint allowed, ReadOnlySpan<MemoryPropertyFlags> wanted)
    {
        PhysicalDeviceMemoryProperties memory = facts.Memory;
        foreach (MemoryPropertyFlags want in wanted)
            for (uint i = 0; i < memory.MemoryTypeCount; i++)
            {
                if ((allowed & (1u << (int)i)) == 0 || !memory.MemoryTypes[(int)i].PropertyFlags.HasFlag(want)) continue;
                // Memory of another heap is not what the plan counts.
                if (want != Writable || memory.MemoryTypes[(int)i].HeapIndex == PhysicalDeviceFacts.DeviceHeap(memory)) return i;
            }

        throw new DeviceException($"{facts.Name} offers no memory of the kind {wanted[^1]}. Its driver cannot be used.");
    }
}
