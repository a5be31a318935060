using LdlVk.DirectML.Commands;

namespace LdlVk.DirectML.Memory;

/// <summary>What a piece of scratch memory holds. Each purpose has memory of its own.</summary>
internal enum Scratch
{
    FirstInput,
    SecondInput,
    ThirdInput,
    Output,
    Panel,
    Queries,
    Keys,
    Values,
    Largest,
    Powers,
    Quotients,
    Integers,
    Scales,
    Products,
    Total,
    NextTotal,
}

/// <summary>
/// Device memory that ops need beside their operands. It grows to the largest request and is kept until the device is closed.
/// </summary>
internal sealed class ScratchMemory(GpuMemory memory, CommandStream stream)
{
    private readonly GpuBuffer?[] _buffers = new GpuBuffer?[Enum.GetValues<Scratch>().Length];

    /// <summary>Memory of at least a size, with undefined content.</summary>
    public Region Take(Scratch purpose, ulong bytes)
    {
        ref GpuBuffer? buffer = ref _buffers[(int)purpose];
        if (buffer is null || buffer.Bytes < bytes)
        {
            if (buffer is not null) memory.Free(buffer);
            buffer = null;
            buffer = memory.Allocate(bytes, "an operation's operands", stream.WaitAndCollect);
        }
        return buffer.All with { Bytes = bytes };
    }
}
