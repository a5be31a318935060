using System.Runtime.InteropServices;
using LdlVk.DirectML.Commands;

namespace LdlVk.DirectML.Memory;

/// <summary>Values that ops need in device memory, uploaded at their first use and kept until the device is closed.</summary>
internal sealed class Constants(GpuMemory memory, CommandStream stream)
{
    /// <summary>Size of the zeros that memory is cleared with: a small memory limit can spare it.</summary>
    private const int ZeroBytes = 64 << 10;

    private readonly Dictionary<string, GpuBuffer> _buffers = [];

    /// <summary>The constant of that name; <paramref name="values"/> is called at the first use.</summary>
    public Region Get<T>(string name, Func<T[]> values)
        where T : unmanaged
    {
        if (_buffers.TryGetValue(name, out GpuBuffer? known)) return known.All;
        T[] made = values();
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(made.AsSpan());
        GpuBuffer buffer = memory.Allocate((ulong)bytes.Length, $"constants of {name}", stream.WaitAndCollect);
        stream.Upload(buffer, bytes);
        _buffers.Add(name, buffer);
        return buffer.All;
    }

    /// <summary>Sets bytes to zero.</summary>
    public void Clear(Region region)
    {
        Region zeros = Get("zeros", () => new byte[ZeroBytes]);
        for (ulong done = 0; done < region.Bytes; done += ZeroBytes)
        {
            ulong bytes = Math.Min(ZeroBytes, region.Bytes - done);
            stream.Copy(new Region(region.Buffer, region.Offset + done, bytes), zeros with { Bytes = bytes });
        }
    }
}
