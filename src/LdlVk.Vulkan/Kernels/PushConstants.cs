using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LdlVk.Vulkan.Kernels;

/// <summary>The push constants of one dispatch, laid out as GLSL's std430 does: addresses first, then 32-bit values.</summary>
[InlineArray(Bytes)]
internal struct PushBytes
{
    /// <summary>The size that every Vulkan device supports.</summary>
    public const int Bytes = 128;

    private byte _first;
}

/// <summary>Writes <see cref="PushBytes"/> in order.</summary>
internal ref struct PushConstants
{
    private PushBytes _bytes;
    private int _length;

    public PushConstants Add<T>(T value) where T : unmanaged
    {
        if (_length + Unsafe.SizeOf<T>() > PushBytes.Bytes)
        {
            throw new InvalidOperationException(
                $"A kernel takes more than {PushBytes.Bytes} bytes of push constants, which not every device has.");
        }

        Span<byte> bytes = _bytes;
        MemoryMarshal.Write(bytes[_length..], in value);
        _length += Unsafe.SizeOf<T>();
        return this;
    }

    [UnscopedRef]
    public readonly ReadOnlySpan<byte> Written => ((ReadOnlySpan<byte>)_bytes)[.._length];
}
