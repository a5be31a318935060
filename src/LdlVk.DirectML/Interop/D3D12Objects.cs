namespace LdlVk.DirectML.Interop;

/// <summary>ID3D12CommandQueue.</summary>
internal sealed unsafe class D3D12Queue(void* pointer) : ComObject(pointer)
{
    public static readonly Guid Iid = new("0ec870a6-5d7e-4c22-8cfc-5baae07616ed");

    public void Execute(D3D12CommandList list)
    {
        void* one = list.Pointer;
        ((delegate* unmanaged[MemberFunction]<void*, uint, void**, void>)Method(Slots.ID3D12CommandQueue.ExecuteCommandLists))(Pointer, 1,
            &one);
    }

    /// <summary>Lets what comes later on the queue wait until a fence has a value.</summary>
    public int Wait(D3D12Fence fence, ulong value) =>
        ((delegate* unmanaged[MemberFunction]<void*, void*, ulong, int>)Method(Slots.ID3D12CommandQueue.Wait))(Pointer, fence.Pointer,
            value);

    public int Signal(D3D12Fence fence, ulong value) =>
        ((delegate* unmanaged[MemberFunction]<void*, void*, ulong, int>)Method(Slots.ID3D12CommandQueue.Signal))(Pointer, fence.Pointer,
            value);
}

/// <summary>ID3D12CommandAllocator.</summary>
internal sealed unsafe class D3D12CommandAllocator(void* pointer) : ComObject(pointer)
{
    public static readonly Guid Iid = new("6102dee4-af59-4b09-b999-b44d73f09b24");

    public int Reset() => ((delegate* unmanaged[MemberFunction]<void*, int>)Method(Slots.ID3D12CommandAllocator.Reset))(Pointer);
}

/// <summary>ID3D12GraphicsCommandList.</summary>
internal sealed unsafe class D3D12CommandList(void* pointer) : ComObject(pointer)
{
    public static readonly Guid Iid = new("5b160d0f-ac1b-4185-8ba8-b3ae42a5a455");

    public int Close() => ((delegate* unmanaged[MemberFunction]<void*, int>)Method(Slots.ID3D12GraphicsCommandList.Close))(Pointer);

    public int Reset(D3D12CommandAllocator allocator) =>
        ((delegate* unmanaged[MemberFunction]<void*, void*, void*, int>)Method(Slots.ID3D12GraphicsCommandList.Reset))(Pointer,
            allocator.Pointer, null);

    public void Copy(D3D12Resource destination, ulong destinationOffset, D3D12Resource source, ulong sourceOffset, ulong bytes) =>
        ((delegate* unmanaged[MemberFunction]<void*, void*, ulong, void*, ulong, ulong,
            void>)Method(Slots.ID3D12GraphicsCommandList.CopyBufferRegion))(
            Pointer, destination.Pointer, destinationOffset, source.Pointer, sourceOffset, bytes);

    public void Barrier(ReadOnlySpan<ResourceBarrier> barriers)
    {
        fixed (ResourceBarrier* first = barriers)
            ((delegate* unmanaged[MemberFunction]<void*, uint, ResourceBarrier*,
                void>)Method(Slots.ID3D12GraphicsCommandList.ResourceBarrier))(Pointer, (uint)barriers.Length, first);
    }

    public void SetDescriptorHeap(D3D12DescriptorHeap heap)
    {
        void* one = heap.Pointer;
        ((delegate* unmanaged[MemberFunction]<void*, uint, void**, void>)Method(Slots.ID3D12GraphicsCommandList.SetDescriptorHeaps))(
            Pointer, 1, &one);
    }
}

/// <summary>ID3D12Fence.</summary>
internal sealed unsafe class D3D12Fence(void* pointer) : ComObject(pointer)
{
    public static readonly Guid Iid = new("0a753dcf-c4d8-4b91-adf6-be5a60d95a76");

    /// <summary>The value that the queue has passed; all bits set once the device is removed.</summary>
    public ulong Completed => ((delegate* unmanaged[MemberFunction]<void*, ulong>)Method(Slots.ID3D12Fence.GetCompletedValue))(Pointer);

    public int SetEvent(ulong value, nint handle) =>
        ((delegate* unmanaged[MemberFunction]<void*, ulong, nint, int>)Method(Slots.ID3D12Fence.SetEventOnCompletion))(Pointer, value,
            handle);
}

/// <summary>ID3D12Resource: a buffer.</summary>
internal sealed unsafe class D3D12Resource(void* pointer) : ComObject(pointer)
{
    public static readonly Guid Iid = new("696442be-a72e-4059-bc79-5b5c98040fad");

    /// <summary>Maps the whole buffer; it stays mapped until it is released.</summary>
    public byte* Map()
    {
        void* data;
        ((delegate* unmanaged[MemberFunction]<void*, uint, void*, void**, int>)Method(Slots.ID3D12Resource.Map))(Pointer, 0, null,
            &data).Check("ID3D12Resource::Map");
        return (byte*)data;
    }
}

/// <summary>ID3D12DescriptorHeap.</summary>
internal sealed unsafe class D3D12DescriptorHeap(void* pointer) : ComObject(pointer)
{
    public static readonly Guid Iid = new("8efb471d-616c-4f49-90f7-127bb763fa51");

    public DescriptorHandle CpuStart => ((delegate* unmanaged[MemberFunction]<void*, DescriptorHandle>)Method(
        Slots.ID3D12DescriptorHeap.GetCPUDescriptorHandleForHeapStart))(Pointer);

    public DescriptorHandle GpuStart => ((delegate* unmanaged[MemberFunction]<void*, DescriptorHandle>)Method(
        Slots.ID3D12DescriptorHeap.GetGPUDescriptorHandleForHeapStart))(Pointer);
}
