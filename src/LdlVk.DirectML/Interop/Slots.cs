namespace LdlVk.DirectML.Interop;

/// <summary>
/// Places of methods in the vtables of COM interfaces. A test compares all of them with Microsoft's headers, but for DXGI's, which Debian
/// lacks.
/// </summary>
internal static class Slots
{
    internal static class IDXGIFactory1
    {
        public const int EnumAdapters1 = 12;
    }

    internal static class IDXGIAdapter3
    {
        public const int GetDesc1 = 10;
        public const int QueryVideoMemoryInfo = 14;
    }

    internal static class ID3D12Device
    {
        public const int CreateCommandQueue = 8;
        public const int CreateCommandAllocator = 9;
        public const int CreateCommandList = 12;
        public const int CheckFeatureSupport = 13;
        public const int CreateDescriptorHeap = 14;
        public const int GetDescriptorHandleIncrementSize = 15;
        public const int CreateCommittedResource = 27;
        public const int CreateFence = 36;
        public const int GetDeviceRemovedReason = 37;
    }

    internal static class ID3D12CommandQueue
    {
        public const int ExecuteCommandLists = 10;
        public const int Signal = 14;
        public const int Wait = 15;
    }

    internal static class ID3D12CommandAllocator
    {
        public const int Reset = 8;
    }

    internal static class ID3D12GraphicsCommandList
    {
        public const int Close = 9;
        public const int Reset = 10;
        public const int CopyBufferRegion = 15;
        public const int ResourceBarrier = 26;
        public const int SetDescriptorHeaps = 28;
    }

    internal static class ID3D12Fence
    {
        public const int GetCompletedValue = 8;
        public const int SetEventOnCompletion = 9;
    }

    internal static class ID3D12Resource
    {
        public const int Map = 8;
    }

    internal static class ID3D12DescriptorHeap
    {
        public const int GetCPUDescriptorHandleForHeapStart = 9;
        public const int GetGPUDescriptorHandleForHeapStart = 10;
    }

    internal static class IDMLDevice
    {
        public const int CheckFeatureSupport = 7;
        public const int CreateOperator = 8;
        public const int CreateOperatorInitializer = 10;
        public const int CreateCommandRecorder = 11;
        public const int CreateBindingTable = 12;
        public const int GetDeviceRemovedReason = 15;
    }

    internal static class IDMLDevice1
    {
        public const int CompileGraph = 17;
    }

    internal static class IDMLDispatchable
    {
        public const int GetBindingProperties = 8;
    }

    internal static class IDMLBindingTable
    {
        public const int BindInputs = 8;
        public const int BindOutputs = 9;
        public const int BindTemporaryResource = 10;
        public const int BindPersistentResource = 11;
        public const int Reset = 12;
    }

    internal static class IDMLCommandRecorder
    {
        public const int RecordDispatch = 8;
    }
}
