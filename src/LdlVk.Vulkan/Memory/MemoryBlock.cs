using Silk.NET.Vulkan;
using Buffer = Silk.NET.Vulkan.Buffer;

namespace LdlVk.Vulkan.Memory;

/// <summary>One vkAllocateMemory with one buffer over all of it, and the free ranges in it.</summary>
/// <param name="memory">The allocation.</param>
/// <param name="buffer">The buffer.</param>
/// <param name="address">The buffer's device address.</param>
/// <param name="size">Bytes of the buffer.</param>
/// <param name="taken">Bytes of the allocation, which may be slightly more.</param>
/// <param name="mapped">Its first byte in the host's address space; null if the host does not see it.</param>
internal sealed unsafe class MemoryBlock(DeviceMemory memory, Buffer buffer, ulong address, ulong size, ulong taken, byte* mapped)
{
    /// <summary>Free ranges by offset; adjacent ranges are always merged.</summary>
    private readonly SortedList<ulong, ulong> _free = new() { [0] = size };

    public DeviceMemory Memory => memory;
    public Buffer Buffer => buffer;
    public ulong Address => address;
    public ulong Taken => taken;
    public byte* Mapped => mapped;

    /// <summary>The value of the compute timeline up to which the range freed last may be in use.</summary>
    public ulong FreedAt { get; set; }

    /// <summary>The value of the copies' timeline up to which a freed range may be copied to.</summary>
    public ulong CopiedUntil { get; set; }

    public bool IsUnused => _free.Count == 1 && _free.Values[0] == size;

    /// <summary>Takes the smallest free range that fits; null if none does.</summary>
    public ulong? Take(ulong bytes)
    {
        int best = -1;
        for (int i = 0; i < _free.Count; i++)
            if (_free.Values[i] >= bytes && (best < 0 || _free.Values[i] < _free.Values[best])) best = i;
        if (best < 0) return null;
        ulong offset = _free.Keys[best], rest = _free.Values[best] - bytes;
        _free.RemoveAt(best);
        if (rest > 0) _free.Add(offset + bytes, rest);
        return offset;
    }

    public void Give(ulong offset, ulong bytes)
    {
        _free.Add(offset, bytes);
        int i = _free.IndexOfKey(offset);
        if (i + 1 < _free.Count && _free.Keys[i] + _free.Values[i] == _free.Keys[i + 1])
        {
            _free.SetValueAtIndex(i, _free.Values[i] + _free.Values[i + 1]);
            _free.RemoveAt(i + 1);
        }

        if (i > 0 && _free.Keys[i - 1] + _free.Values[i - 1] == _free.Keys[i])
        {
            _free.SetValueAtIndex(i - 1, _free.Values[i - 1] + _free.Values[i]);
            _free.RemoveAt(i);
        }
    }
}
