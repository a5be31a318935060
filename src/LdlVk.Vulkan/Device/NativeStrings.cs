using System.Runtime.InteropServices;

namespace LdlVk.Vulkan.Device;

/// <summary>Zero-terminated UTF-8 strings for one Vulkan call.</summary>
internal sealed unsafe class NativeStrings : IDisposable
{
    private readonly nint[] _strings;

    public NativeStrings(params ReadOnlySpan<string> strings)
    {
        _strings = GC.AllocateArray<nint>(strings.Length, pinned: true);
        for (int i = 0; i < strings.Length; i++) _strings[i] = Marshal.StringToCoTaskMemUTF8(strings[i]);
    }

    public uint Count => (uint)_strings.Length;

    /// <summary>Pointers to the strings, valid until disposal.</summary>
    public byte** Pointers => (byte**)Marshal.UnsafeAddrOfPinnedArrayElement(_strings, 0);

    /// <summary>Reads a zero-terminated string.</summary>
    public static string Read(byte* text) => Marshal.PtrToStringUTF8((nint)text) ?? "";

    public void Dispose()
    {
        foreach (nint s in _strings) Marshal.FreeCoTaskMem(s);
    }
}
