using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Kernels;

/// <summary>The driver's pipeline cache, filled from its <see cref="PipelineCacheFile"/> and saved there at the end.</summary>
internal sealed unsafe class PipelineCaching : IDisposable
{
    private readonly Vk _api;
    private readonly VkDevice _device;
    private readonly PipelineCacheFile _file;

    public PipelineCaching(Vk api, VkDevice device, PipelineCacheFile file)
    {
        (_api, _device, _file) = (api, device, file);
        Handle = Create(file.Load());
    }

    /// <summary>The cache for vkCreateComputePipelines; a null handle, which that call allows, where the driver made none.</summary>
    public PipelineCache Handle { get; }

    /// <summary>Whether the cache holds something that the file does not.</summary>
    public bool Changed { get; set; }

    public void Dispose()
    {
        if (Changed && Handle.Handle != 0) Save();
        _api.DestroyPipelineCache(_device, Handle, null);
    }

    private PipelineCache Create(ReadOnlySpan<byte> data)
    {
        fixed (byte* initial = data)
        {
            var create = new PipelineCacheCreateInfo(initialDataSize: (nuint)data.Length, pInitialData: initial);
            return _api.CreatePipelineCache(_device, in create, null, out PipelineCache handle) == Result.Success ? handle
                : data.IsEmpty ? default
                : Create([]);
        }
    }

    private void Save()
    {
        nuint size = 0;
        if (_api.GetPipelineCacheData(_device, Handle, ref size, null) != Result.Success || size == 0) return;
        byte[] data = new byte[size];
        fixed (byte* p = data)
            if (_api.GetPipelineCacheData(_device, Handle, ref size, p) == Result.Success) _file.Save(data.AsSpan(0, (int)size));
    }
}
