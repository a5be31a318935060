namespace LdlVk.Vulkan.Commands;

/// <summary>Bytes of device memory, by device address.</summary>
/// <param name="Address">The first.</param>
/// <param name="Bytes">How many.</param>
/// <param name="Shared">Who uses them, where not one stream alone does.</param>
internal readonly record struct MemoryRange(ulong Address, ulong Bytes, SharedUse? Shared = null)
{
    public bool Overlaps(MemoryRange other) =>
        Bytes > 0 && other.Bytes > 0 && Address < other.Address + other.Bytes && other.Address < Address + Bytes;
}
