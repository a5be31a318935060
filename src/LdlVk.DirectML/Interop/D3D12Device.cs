namespace LdlVk.DirectML.Interop;

/// <summary>ID3D12Device.</summary>
internal sealed unsafe class D3D12Device(void* pointer) : ComObject(pointer)
{
    public static readonly Guid Iid = new("189819f1-1db6-4b57-be54-1821339b85f7");

    /// <summary>The least D3D_FEATURE_LEVEL DirectML works with: D3D_FEATURE_LEVEL_11_0.</summary>
    public const int FeatureLevel = 0xB000;

    /// <summary>Why the device was removed; 0 while it works.</summary>
    public int RemovedReason => ((delegate* unmanaged[MemberFunction]<void*, int>)Method(Slots.ID3D12Device.GetDeviceRemovedReason))(
        Pointer);

    public D3D12Queue CreateQueue(CommandListType type)
    {
        CommandQueueDescription description = new() { Type = type };
        Guid iid = D3D12Queue.Iid;
        void* queue;
        Check(((delegate* unmanaged[MemberFunction]<void*, CommandQueueDescription*, Guid*, void**,
            int>)Method(Slots.ID3D12Device.CreateCommandQueue))(Pointer, &description, &iid, &queue), "CreateCommandQueue");
        return new D3D12Queue(queue);
    }

    public D3D12CommandAllocator CreateAllocator(CommandListType type)
    {
        Guid iid = D3D12CommandAllocator.Iid;
        void* allocator;
        Check(((delegate* unmanaged[MemberFunction]<void*, CommandListType, Guid*, void**,
            int>)Method(Slots.ID3D12Device.CreateCommandAllocator))(Pointer, type, &iid, &allocator), "CreateCommandAllocator");
        return new D3D12CommandAllocator(allocator);
    }

    /// <summary>Makes a command list that is open.</summary>
    public D3D12CommandList CreateList(CommandListType type, D3D12CommandAllocator allocator)
    {
        Guid iid = D3D12CommandList.Iid;
        void* list;
        Check(((delegate* unmanaged[MemberFunction]<void*, uint, CommandListType, void*, void*, Guid*, void**,
            int>)Method(Slots.ID3D12Device.CreateCommandList))(Pointer, 0, type, allocator.Pointer, null, &iid, &list),
            "CreateCommandList");
        return new D3D12CommandList(list);
    }

    public ArchitectureData Architecture
    {
        get
        {
            ArchitectureData data = default;
            Check(((delegate* unmanaged[MemberFunction]<void*, int, void*, uint, int>)Method(Slots.ID3D12Device.CheckFeatureSupport))(
                Pointer, ArchitectureData.Feature, &data, (uint)sizeof(ArchitectureData)), "CheckFeatureSupport");
            return data;
        }
    }

    /// <summary>A heap of descriptors that shaders see.</summary>
    public D3D12DescriptorHeap CreateDescriptorHeap(uint count)
    {
        DescriptorHeapDescription description = new() { Count = count, Flags = DescriptorHeapDescription.ShaderVisible };
        Guid iid = D3D12DescriptorHeap.Iid;
        void* heap;
        Check(((delegate* unmanaged[MemberFunction]<void*, DescriptorHeapDescription*, Guid*, void**,
            int>)Method(Slots.ID3D12Device.CreateDescriptorHeap))(Pointer, &description, &iid, &heap), "CreateDescriptorHeap");
        return new D3D12DescriptorHeap(heap);
    }

    /// <summary>Bytes from one descriptor to the next.</summary>
    public uint DescriptorSize => ((delegate* unmanaged[MemberFunction]<void*, int, uint>)Method(
        Slots.ID3D12Device.GetDescriptorHandleIncrementSize))(Pointer, 0);

    /// <summary>
    /// Makes a buffer in memory of its own. A custom heap is host memory that the processor reads as fast as any, unlike that for uploads.
    /// </summary>
    /// <returns>The HRESULT; the caller knows who wanted the memory.</returns>
    public int TryCreateBuffer(HeapType type, ulong bytes, out D3D12Resource? buffer)
    {
        HeapProperties heap = new() { Type = type, CreationNodeMask = 1, VisibleNodeMask = 1 };
        if (type == HeapType.Custom) (heap.CpuPageProperty, heap.MemoryPoolPreference) = (HeapProperties.WriteBack,
            HeapProperties.HostMemory);
        ResourceDescription description = new()
        {
            Dimension = ResourceDescription.Buffer,
            Width = bytes,
            Height = 1,
            DepthOrArraySize = 1,
            MipLevels = 1,
            SampleCount = 1,
            Layout = ResourceDescription.RowMajor,
            Flags = type == HeapType.Default ? ResourceDescription.AllowUnorderedAccess : 0,
        };
        ResourceStates state = type switch
        {
            HeapType.Upload => ResourceStates.GenericRead,
            HeapType.Readback => ResourceStates.CopyDestination,
            _ => ResourceStates.Common,
        };
        Guid iid = D3D12Resource.Iid;
        void* resource;
        int result = ((delegate* unmanaged[MemberFunction]<void*, HeapProperties*, int, ResourceDescription*, ResourceStates, void*, Guid*,
            void**, int>)Method(Slots.ID3D12Device.CreateCommittedResource))(
            Pointer, &heap, 0, &description, state, null, &iid, &resource);
        buffer = result < 0 ? null : new D3D12Resource(resource);
        return result;
    }

    public D3D12Fence CreateFence()
    {
        Guid iid = D3D12Fence.Iid;
        void* fence;
        Check(((delegate* unmanaged[MemberFunction]<void*, ulong, int, Guid*, void**, int>)Method(Slots.ID3D12Device.CreateFence))(Pointer,
            0, 0, &iid, &fence), "CreateFence");
        return new D3D12Fence(fence);
    }

    /// <summary>Raises what a call on this device or its children answered, with the reason of a removed device.</summary>
    public void Check(int result, string call)
    {
        if (result < 0) result.Check(call, RemovedReason);
    }
}
