using System.Runtime.InteropServices;

namespace LdlVk.DirectML.Interop;

/// <summary>D3D12_HEAP_TYPE.</summary>
internal enum HeapType
{
    Default = 1,
    Upload = 2,
    Readback = 3,
    Custom = 4,
}

/// <summary>D3D12_RESOURCE_STATES.</summary>
[Flags]
internal enum ResourceStates
{
    Common = 0,
    UnorderedAccess = 0x8,
    CopyDestination = 0x400,
    CopySource = 0x800,
    GenericRead = 0xAC3,
}

/// <summary>D3D12_COMMAND_LIST_TYPE.</summary>
internal enum CommandListType
{
    Direct = 0,
    Compute = 2,
    Copy = 3,
}

/// <summary>D3D12_HEAP_PROPERTIES.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct HeapProperties
{
    public HeapType Type;
    public int CpuPageProperty, MemoryPoolPreference;
    public uint CreationNodeMask, VisibleNodeMask;

    public const int WriteBack = 3;
    public const int HostMemory = 1;
}

/// <summary>D3D12_RESOURCE_DESC.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ResourceDescription
{
    public int Dimension;
    public ulong Alignment, Width;
    public uint Height;
    public ushort DepthOrArraySize, MipLevels;
    public int Format;
    public uint SampleCount, SampleQuality;
    public int Layout, Flags;

    public const int Buffer = 1;
    public const int RowMajor = 1;
    public const int AllowUnorderedAccess = 4;
}

/// <summary>
/// D3D12_RESOURCE_BARRIER, with the union's member for transitions; for an unordered-access barrier only Resource counts.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ResourceBarrier
{
    public int Type, Flags;
    public void* Resource;
    public uint Subresource;
    public ResourceStates Before, After;

    public const int Transition = 0;
    public const int UnorderedAccess = 2;
    public const uint AllSubresources = 0xFFFFFFFF;
}

/// <summary>D3D12_COMMAND_QUEUE_DESC.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CommandQueueDescription
{
    public CommandListType Type;
    public int Priority, Flags;
    public uint NodeMask;
}

/// <summary>D3D12_DESCRIPTOR_HEAP_DESC.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct DescriptorHeapDescription
{
    public int Type;
    public uint Count;
    public int Flags;
    public uint NodeMask;

    public const int ShaderVisible = 1;
}

/// <summary>D3D12_CPU_DESCRIPTOR_HANDLE and D3D12_GPU_DESCRIPTOR_HANDLE.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct DescriptorHandle(ulong Address);

/// <summary>D3D12_FEATURE_DATA_ARCHITECTURE.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ArchitectureData
{
    public uint NodeIndex;
    public int TileBasedRenderer, SharesHostMemory, CacheCoherent;

    public const int Feature = 1;
}
