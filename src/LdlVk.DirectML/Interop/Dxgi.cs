using System.Runtime.InteropServices;

namespace LdlVk.DirectML.Interop;

/// <summary>DXGI_ADAPTER_DESC1.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct AdapterDescription
{
    public fixed char Name[128];
    public uint VendorId, DeviceId, SubSystemId, Revision;
    public nuint DedicatedVideoMemory, DedicatedSystemMemory, SharedSystemMemory;
    public long Luid;
    public uint Flags;

    public const uint SoftwareFlag = 2;
}

/// <summary>DXGI_QUERY_VIDEO_MEMORY_INFO.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct VideoMemory
{
    public ulong Budget, CurrentUsage, AvailableForReservation, CurrentReservation;
}

/// <summary>IDXGIFactory1: lists the adapters.</summary>
internal sealed unsafe class DxgiFactory(void* pointer) : ComObject(pointer)
{
    public static readonly Guid Iid = new("770aae78-f26f-4dba-a829-253c83d1b387");

    /// <summary>The adapter of that number; null beyond the last.</summary>
    public DxgiAdapter? Adapter(uint index)
    {
        void* adapter;
        int result = ((delegate* unmanaged[MemberFunction]<void*, uint, void**, int>)Method(Slots.IDXGIFactory1.EnumAdapters1))(Pointer,
            index, &adapter);
        if (result == HResult.NotFound) return null;
        result.Check("IDXGIFactory1::EnumAdapters1");
        return new DxgiAdapter(adapter);
    }
}

/// <summary>IDXGIAdapter1.</summary>
internal sealed unsafe class DxgiAdapter(void* pointer) : ComObject(pointer)
{
    private static readonly Guid Adapter3 = new("645967a4-1392-4310-a798-8053ce3e93fd");

    public AdapterDescription Description
    {
        get
        {
            AdapterDescription description;
            ((delegate* unmanaged[MemberFunction]<void*, AdapterDescription*, int>)Method(Slots.IDXGIAdapter3.GetDesc1))(Pointer,
                &description).Check("IDXGIAdapter1::GetDesc1");
            return description;
        }
    }

    /// <summary>
    /// Memory of the adapter's own (<paramref name="nonLocal"/> = 0) or shared with the host (1); zeros where the system does not say.
    /// </summary>
    public VideoMemory Memory(int nonLocal)
    {
        VideoMemory memory = default;
        void* adapter;
        fixed (Guid* iid = &Adapter3)
            if (((delegate* unmanaged[MemberFunction]<void*, Guid*, void**, int>)Method(0))(Pointer, iid, &adapter) < 0) return default;
        void** methods = *(void***)adapter;
        int result = ((delegate* unmanaged[MemberFunction]<void*, uint, int, VideoMemory*,
            int>)methods[Slots.IDXGIAdapter3.QueryVideoMemoryInfo])(adapter, 0, nonLocal, &memory);
        ((delegate* unmanaged[MemberFunction]<void*, uint>)methods[2])(adapter);
        return result < 0 ? default : memory;
    }
}
