namespace LdlVk.Vulkan.Commands;

/// <summary>A range of device memory.</summary>
/// <param name="Address">Device address of its first byte.</param>
/// <param name="Bytes">Its length.</param>
/// <param name="Shared">The uses of it, where more than one stream, or the host too, uses it; else null.</param>
internal readonly record struct MemoryRange(ulong Address, ulong Bytes, SharedUse? Shared = null)
{
    public bool Overlaps(MemoryRange other) =>
        Bytes > 0 && other.Bytes > 0 && Address < other.Address + other.Bytes && other.Address < Address + Bytes;
}
