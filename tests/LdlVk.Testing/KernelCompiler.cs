using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;
using Silk.NET.Vulkan;

namespace LdlVk.Testing;

/// <summary>A compiled kernel and its driver's statistics: registers, spills, shared memory, by the driver's own names.</summary>
/// <param name="Kernel">The shader's name.</param>
/// <param name="Variant">Its use and its tiling.</param>
/// <param name="Statistics">The driver's figures, for the first of several executables.</param>
/// <param name="Code">What the driver shows of its work, the assembly last; empty unless asked for.</param>
public sealed record CompiledKernel(string Kernel, string Variant, IReadOnlyDictionary<string, double> Statistics, string Code = "")
{
    /// <summary>
    /// Statistics of spills, by the names of Mesa's drivers and NVIDIA's: registers did not suffice, and values went to memory, which slows
    /// down each use.
    /// </summary>
    private static readonly string[] SpillNames = ["Spilled VGPRs", "Scratch size", "Spill count", "Fill count", "Spills", "Fills", "Local Memory Size"];

    /// <summary>The figures of <see cref="SpillNames"/> that are not zero.</summary>
    public IReadOnlyDictionary<string, double> Spills { get; } =
        Statistics.Where(s => SpillNames.Contains(s.Key, StringComparer.OrdinalIgnoreCase) && s.Value != 0).ToDictionary();
}

/// <summary>
/// Compiles the kernels that a device would run, and asks its driver for statistics (VK_KHR_pipeline_executable_properties). Nothing runs and
/// no memory is allocated, so a driver without its hardware suffices: Mesa's for AMD takes <c>RADV_FORCE_FAMILY</c>.
/// </summary>
public sealed unsafe class KernelCompiler : IDisposable
{
    private readonly VulkanInstance _instance;
    private readonly PhysicalDeviceFacts _facts;
    private readonly Device _device;
    private readonly ComputePipelines _kernels;
    private readonly LinearKernels _linear;
    private readonly AttentionKernels _attention;
    private readonly bool _representations;

    /// <summary>Opens a device of this machine, by default the first, only to compile.</summary>
    /// <param name="index">The device.</param>
    /// <param name="representations">Whether to ask for <see cref="CompiledKernel.Code"/> too.</param>
    public KernelCompiler(int index = 0, bool representations = false)
    {
        _representations = representations;
        _instance = VulkanInstance.TryCreate(Vk.GetApi, out string? why) ?? throw new InvalidOperationException(why);
        Vk api = _instance.Api;
        PhysicalDevice physical = _instance.PhysicalDevices(out _)[index];
        _facts = PhysicalDeviceFacts.Of(_instance, physical);
        LinearFamily family = LinearKernels.FamilyFor(_facts);
        DeviceInfo info = _facts.ToInfo(index, family);
        Name = $"{info.Name}, {info.Driver} ({string.Join(", ", info.Features)})";
        float priority = 1;
        var queue = new DeviceQueueCreateInfo(queueFamilyIndex: _facts.ComputeQueueFamily, queueCount: 1, pQueuePriorities: &priority);
        using var features = new EnabledFeatures(api, physical, _facts, statistics: true);
        using var names = new NativeStrings([.. features.Extensions]);
        var create = new DeviceCreateInfo(pNext: features.Chain, queueCreateInfoCount: 1, pQueueCreateInfos: &queue, enabledExtensionCount: names.Count, ppEnabledExtensionNames: names.Pointers);
        api.CreateDevice(physical, in create, null, out _device).Check("vkCreateDevice");
        _kernels = new ComputePipelines(api, _device, _facts, new PipelineCacheFile(null, _facts.Properties), PipelineCreateFlags.CreateCaptureStatisticsBitKhr | (representations ? PipelineCreateFlags.CreateCaptureInternalRepresentationsBitKhr : 0));
        _linear = new LinearKernels(family, _facts, new TileChoices(null, _facts));
        _attention = new AttentionKernels(family, _facts);
    }

    /// <summary>The device, its driver and what it can do.</summary>
    public string Name { get; }

    /// <summary>Whether products run on matrix units there.</summary>
    public bool HasMatrixUnits => _linear.HasMatrixUnits;

    /// <summary>The kernels of a layer of Gemma-2 27B.</summary>
    /// <param name="rows">Rows of the products.</param>
    /// <param name="tilings">Number of tilings of each product, beginning with the default.</param>
    /// <param name="matrixUnitsOnly">Whether to compile only those on matrix units.</param>
    public IEnumerable<CompiledKernel> Compile(int rows, int tilings, bool matrixUnitsOnly = false) =>
        from use in Uses(rows, tilings)
        where !matrixUnitsOnly || use.Shader.EndsWith("_matrix", StringComparison.Ordinal)
        select Compile(use);

    private sealed record Use(string Variant, string Shader, uint[] Constants, uint SubgroupSize);

    private IEnumerable<Use> Uses(int rows, int tilings)
    {
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
        {
            foreach ((bool gated, SumFormat sums) in ((bool, SumFormat)[])
                [(false, SumFormat.Fp32), (true, SumFormat.Fp32), (false, SumFormat.Fp16), (true, SumFormat.Fp16)])
            {
                LinearProduct product = new(format, gated, gated ? 36864 : 4608, 4608, rows, sums);
                if ((gated || sums == SumFormat.Fp16) && !_linear.UsesMatrixUnitsFor(format)) continue;
                if (_linear.SumsOf(sums) != sums) continue;
                foreach (ITiling tiling in _linear.Candidates(_linear.KeyOf(product)).Take(tilings))
                {
                    _linear.Forced = tiling.Name;
                    LinearKernel kernel = _linear.KernelFor(product);
                    _linear.Forced = null;
                    yield return new Use($"{format}{(gated ? ", gate and up" : "")}, {rows} rows, {tiling.Name}", kernel.Shader, kernel.Constants, kernel.SubgroupSize);
                }
            }

            if (!WeightLayout.HasScales(format)) continue;
            LinearProduct bytes = new(format, false, 4608, 4608, rows);
            foreach (Int8Units units in Enum.GetValues<Int8Units>())
            {
                if (units == Int8Units.Matrix ? _linear.ByteMatrixUnits is null : units == Int8Units.Dot && !_facts.HasIntegerDot) continue;
                foreach (string? tiling in units == Int8Units.Matrix ? _linear.Candidates(LinearKernels.Int8KeyOf(bytes)).Take(tilings).Select(t => (string?)t.Name) : [null])
                {
                    _linear.Forced = tiling;
                    LinearKernel kernel = _linear.Int8Kernel(units, bytes);
                    _linear.Forced = null;
                    yield return new Use($"{format}, {rows} rows, {tiling ?? kernel.Name}", kernel.Shader, kernel.Constants, kernel.SubgroupSize);
                }
            }
        }

        foreach (int dimension in (int[])[64, 128, 256])
        {
            if (_attention.MatrixKernel(dimension) is { } matrix)
                yield return new Use($"heads of {dimension}", matrix.Shader, matrix.Constants, matrix.SubgroupSize);
            if (_facts.MatrixUnits is { } units && dimension == 128) yield return new Use("heads", "halve_heads", [units.SubgroupSize], units.SubgroupSize);
            AttentionKernel portable = _attention.PortableKernel(dimension);
            yield return new Use($"heads of {dimension}", portable.Shader, portable.Constants, 0);
        }

        foreach (string name in (string[])["add", "gate_multiply", "gather_rows", "halve_rows", "ldl_readout", "quantize_rows", "rope"]) yield return new Use("", name, [], 0);
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
            foreach (uint scales in WeightLayout.HasScales(format) ? (uint[])[0, 1] : [0])
                yield return new Use($"{format}{(scales == 0 ? "" : ", scales")}", "fill_random", [(uint)format, scales], 0);
        foreach (uint add in (uint[])[0, 1]) yield return new Use(add == 0 ? "RmsNorm" : "NormAdd", "rms_norm", [add, 0], 0);
        yield return new Use("RmsNorm, halves", "rms_norm", [0, 1, 14], 0);
        yield return new Use("RmsNorm, bytes", "rms_norm", [0, 2], 0);
        foreach (uint operand in (uint[])[0, 1, 2])
            yield return new Use($"of a norm{(operand == 0 ? "" : operand == 1 ? ", halves" : ", bytes")}", "add_norm", [1, operand], 0);
    }

    /// <summary>llama.cpp's kernels on matrix units (<see cref="PeerKernels"/>); none where the device has no such units.</summary>
    /// <param name="library">llama.cpp's library.</param>
    public IEnumerable<CompiledKernel> CompilePeer(string library) => _facts.MatrixUnits is not { } units ? []
        : PeerKernels.Of(library, _facts.Properties.VendorID, _facts.SubgroupSize, units.M, units.N, units.K).Select(Compile);

    /// <inheritdoc/>
    public void Dispose()
    {
        _kernels.Dispose();
        _instance.Api.DestroyDevice(_device, null);
        _instance.Dispose();
    }

    private CompiledKernel Compile(Use use)
    {
        Pipeline pipeline = _kernels.PipelineOf(use.Shader, use.Constants, use.SubgroupSize);
        return new CompiledKernel(use.Shader, use.Variant, PipelineStatistics.Of(_instance.Api, _device, pipeline), _representations ? CodeOf(pipeline) : "");
    }

    /// <summary>A module with buffers in descriptor set 0.</summary>
    private CompiledKernel Compile(PeerKernel kernel)
    {
        const int Buffers = 8, PushBytes = 128;
        Vk api = _instance.Api;
        var bindings = new DescriptorSetLayoutBinding[Buffers];
        for (uint i = 0; i < Buffers; i++) bindings[i] = new DescriptorSetLayoutBinding(i, DescriptorType.StorageBuffer, 1, ShaderStageFlags.ComputeBit);
        var entries = new SpecializationMapEntry[kernel.Constants.Length];
        for (uint i = 0; i < entries.Length; i++) entries[i] = new SpecializationMapEntry(i, i * 4, 4);
        var range = new PushConstantRange(ShaderStageFlags.ComputeBit, 0, PushBytes);
        using var main = new NativeStrings(["main"]);
        fixed (DescriptorSetLayoutBinding* b = bindings)
        fixed (SpecializationMapEntry* e = entries)
        fixed (uint* c = kernel.Constants)
        fixed (byte* code = kernel.Code)
        {
            var sets = new DescriptorSetLayoutCreateInfo(bindingCount: Buffers, pBindings: b);
            api.CreateDescriptorSetLayout(_device, in sets, null, out DescriptorSetLayout set).Check("vkCreateDescriptorSetLayout");
            var layouts = new PipelineLayoutCreateInfo(setLayoutCount: 1, pSetLayouts: &set, pushConstantRangeCount: 1, pPushConstantRanges: &range);
            api.CreatePipelineLayout(_device, in layouts, null, out PipelineLayout layout).Check("vkCreatePipelineLayout");
            var modules = new ShaderModuleCreateInfo(codeSize: (nuint)kernel.Code.Length, pCode: (uint*)code);
            api.CreateShaderModule(_device, in modules, null, out ShaderModule module).Check("vkCreateShaderModule");
            var constants = new SpecializationInfo((uint)entries.Length, e, (nuint)(kernel.Constants.Length * 4), c);
            var subgroups = new PipelineShaderStageRequiredSubgroupSizeCreateInfo(requiredSubgroupSize: kernel.SubgroupSize);
            var stage = new PipelineShaderStageCreateInfo(
                pNext: _facts.SetsSubgroupSize ? &subgroups : null, flags: PipelineShaderStageCreateFlags.RequireFullSubgroupsBit,
                stage: ShaderStageFlags.ComputeBit, module: module, pName: *main.Pointers, pSpecializationInfo: &constants);
            PipelineCreateFlags flags = PipelineCreateFlags.CreateCaptureStatisticsBitKhr | (_representations ? PipelineCreateFlags.CreateCaptureInternalRepresentationsBitKhr : 0);
            var create = new ComputePipelineCreateInfo(flags: flags, stage: stage, layout: layout);
            api.CreateComputePipelines(_device, default, 1, in create, null, out Pipeline pipeline).Check($"vkCreateComputePipelines({kernel.Name})");
            var compiled = new CompiledKernel("llama.cpp " + kernel.Name, kernel.Variant, PipelineStatistics.Of(api, _device, pipeline), _representations ? CodeOf(pipeline) : "");
            api.DestroyPipeline(_device, pipeline, null);
            api.DestroyShaderModule(_device, module, null);
            api.DestroyPipelineLayout(_device, layout, null);
            api.DestroyDescriptorSetLayout(_device, set, null);
            return compiled;
        }
    }

    private string CodeOf(Pipeline pipeline)
    {
        const string Name = "vkGetPipelineExecutableInternalRepresentationsKHR";
        var ask = (delegate* unmanaged<Device, PipelineExecutableInfoKHR*, uint*, PipelineExecutableInternalRepresentationKHR*, Result>)
            (void*)_instance.Api.GetDeviceProcAddr(_device, Name);
        var executable = new PipelineExecutableInfoKHR(pipeline: pipeline, executableIndex: 0);
        uint count = 0;
        ask(_device, &executable, &count, null).Check(Name);
        var parts = new PipelineExecutableInternalRepresentationKHR[count];
        for (int i = 0; i < count; i++) parts[i] = new PipelineExecutableInternalRepresentationKHR(sType: StructureType.PipelineExecutableInternalRepresentationKhr);
        StringBuilder code = new();
        fixed (PipelineExecutableInternalRepresentationKHR* p = parts)
        {
            // The first call gives the sizes.
            ask(_device, &executable, &count, p).Check(Name);
            for (int i = 0; i < count; i++) p[i].PData = NativeMemory.Alloc(p[i].DataSize);
            try
            {
                ask(_device, &executable, &count, p).Check(Name);
                for (int i = 0; i < count; i++)
                    code.Append(CultureInfo.InvariantCulture, $"=== {NativeStrings.Read(p[i].Name)}\n{Encoding.UTF8.GetString((byte*)p[i].PData, (int)p[i].DataSize).TrimEnd('\0')}\n");
            }
            finally
            {
                for (int i = 0; i < count; i++) NativeMemory.Free(p[i].PData);
            }
        }

        return code.ToString();
    }
}
