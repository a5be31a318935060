namespace LdlVk.Vulkan.Memory;

/// <summary>A range of a memory block; freed by <see cref="MemoryAllocator.Free"/>.</summary>
internal readonly record struct Allocation(MemoryBlock Block, ulong Offset, ulong Size)
{
    /// <summary>The range's device address, for push constants.</summary>
    public ulong Address => Block.Address + Offset;

    /// <summary>Whether the host sees it.</summary>
    public unsafe bool IsMapped => Block.Mapped is not null;

    /// <summary>
    /// Its first byte, where the host sees it. Not public: a record's ToString prints its public members, and native compilation fails on a
    /// pointer's.
    /// </summary>
    internal unsafe byte* Mapped => Block.Mapped + Offset;
}
