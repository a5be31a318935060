using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;
using Silk.NET.Core.Native;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Kernels;

/// <summary>
/// The device's compute pipelines: compiled at first use from the embedded SPIR-V, and kept on disk in the driver's cache. All kernels take
/// device addresses as push constants; there are no descriptor sets.
/// </summary>
internal sealed unsafe class ComputePipelines : IDisposable
{
    private readonly Vk _api;
    private readonly VkDevice _device;
    private readonly PipelineLayout _layout;
    private readonly PipelineCaching _cache;
    private readonly bool _setsSubgroupSize;
    private readonly PipelineCreateFlags _flags;
    private readonly Dictionary<string, Pipeline> _pipelines = [];

    public ComputePipelines(Vk api, VkDevice device, PhysicalDeviceFacts facts, PipelineCacheFile cache, PipelineCreateFlags flags = 0)
    {
        (_api, _device, _setsSubgroupSize, _flags) = (api, device, facts.SetsSubgroupSize, flags);
        var range = new PushConstantRange(ShaderStageFlags.ComputeBit, 0, PushBytes.Bytes);
        var layout = new PipelineLayoutCreateInfo(pushConstantRangeCount: 1, pPushConstantRanges: &range);
        api.CreatePipelineLayout(device, in layout, null, out _layout).Check("vkCreatePipelineLayout");
        _cache = new PipelineCaching(api, device, cache);
    }

    /// <summary>Records one dispatch.</summary>
    /// <param name="commands">The command buffer to record into.</param>
    /// <param name="kernel">The shader's file name without extension.</param>
    /// <param name="constants">Its specialization constants 0, 1, 2, …</param>
    /// <param name="push">Its push constants.</param>
    /// <param name="x">Workgroups in x.</param>
    /// <param name="y">Workgroups in y.</param>
    /// <param name="z">Workgroups in z.</param>
    /// <param name="subgroupSize">The subgroup size that the shader needs; 0 leaves it to the driver.</param>
    public void Dispatch(
        CommandBuffer commands, string kernel, ReadOnlySpan<uint> constants, scoped in PushConstants push,
        int x, int y = 1, int z = 1, uint subgroupSize = 0)
    {
        _api.CmdBindPipeline(commands, PipelineBindPoint.Compute, PipelineOf(kernel, constants, subgroupSize));
        fixed (byte* p = push.Written)
            _api.CmdPushConstants(commands, _layout, ShaderStageFlags.ComputeBit, 0, (uint)push.Written.Length, p);
        _api.CmdDispatch(commands, (uint)x, (uint)y, (uint)z);
    }

    /// <summary>What the driver says of the kernels compiled so far; empty unless they were compiled for it.</summary>
    public IReadOnlyList<KernelStatistics> Statistics => !_flags.HasFlag(PipelineCreateFlags.CreateCaptureStatisticsBitKhr) ? []
        : [.. _pipelines.Select(p => new KernelStatistics(p.Key, PipelineStatistics.Of(_api, _device, p.Value)))];

    public void Dispose()
    {
        _cache.Dispose();
        foreach (Pipeline pipeline in _pipelines.Values) _api.DestroyPipeline(_device, pipeline, null);
        _api.DestroyPipelineLayout(_device, _layout, null);
    }

    /// <summary>The pipeline of a kernel, compiled at its first use.</summary>
    public Pipeline PipelineOf(string kernel, ReadOnlySpan<uint> constants, uint subgroupSize)
    {
        string key = $"{kernel}({string.Join(',', constants.ToArray())})";
        if (!_pipelines.TryGetValue(key, out Pipeline pipeline))
        {
            pipeline = Create(kernel, constants, subgroupSize);
            _pipelines.Add(key, pipeline);
            _cache.Changed = true;
        }

        return pipeline;
    }

    private Pipeline Create(string kernel, ReadOnlySpan<uint> constants, uint subgroupSize)
    {
        using Stream resource = typeof(ComputePipelines).Assembly.GetManifestResourceStream(kernel)
            ?? throw new DeviceException($"The build holds no kernel '{kernel}'. Build again with ./ldlvk.");
        byte[] code = new byte[resource.Length];
        resource.ReadExactly(code);
        ShaderModule module;
        fixed (byte* p = code)
        {
            var create = new ShaderModuleCreateInfo(codeSize: (nuint)code.Length, pCode: (uint*)p);
            _api.CreateShaderModule(_device, in create, null, out module).Check($"vkCreateShaderModule({kernel})");
        }

        var entries = stackalloc SpecializationMapEntry[constants.Length];
        for (int i = 0; i < constants.Length; i++) entries[i] = new SpecializationMapEntry((uint)i, (uint)i * 4, 4);
        nint main = SilkMarshal.StringToPtr("main");
        try
        {
            fixed (uint* values = constants)
            {
                var specialization = new SpecializationInfo((uint)constants.Length, entries, (nuint)(constants.Length * 4), values);
                var subgroups = new PipelineShaderStageRequiredSubgroupSizeCreateInfo(requiredSubgroupSize: subgroupSize);
                var stage = new PipelineShaderStageCreateInfo(
                    pNext: subgroupSize > 0 && _setsSubgroupSize ? &subgroups : null,
                    flags: subgroupSize > 0 ? PipelineShaderStageCreateFlags.RequireFullSubgroupsBit : 0,
                    stage: ShaderStageFlags.ComputeBit, module: module, pName: (byte*)main, pSpecializationInfo: &specialization);
                var create = new ComputePipelineCreateInfo(flags: _flags, stage: stage, layout: _layout);
                _api.CreateComputePipelines(_device, _cache.Handle, 1, in create, null, out Pipeline pipeline)
                    .Check($"vkCreateComputePipelines({kernel})");
                return pipeline;
            }
        }
        finally
        {
            SilkMarshal.Free(main);
            _api.DestroyShaderModule(_device, module, null);
        }
    }
}
