using LdlVk.Vulkan.Device;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Kernels;

/// <summary>What a driver says of a pipeline that it compiled (VK_KHR_pipeline_executable_properties).</summary>
internal static unsafe class PipelineStatistics
{
    /// <summary>The extension to enable, besides its feature.</summary>
    public const string Extension = "VK_KHR_pipeline_executable_properties";

    /// <summary>The figures of a pipeline by the driver's names; empty where it gives none. Of several executables the first.</summary>
    public static IReadOnlyDictionary<string, double> Of(Vk api, VkDevice device, Pipeline pipeline)
    {
        var ask = (delegate* unmanaged<VkDevice, PipelineExecutableInfoKHR*, uint*, PipelineExecutableStatisticKHR*, Result>)
            (void*)api.GetDeviceProcAddr(device, "vkGetPipelineExecutableStatisticsKHR");
        var executable = new PipelineExecutableInfoKHR(pipeline: pipeline, executableIndex: 0);
        Dictionary<string, double> values = [];
        uint count = 0;
        if (ask is null || ask(device, &executable, &count, null) < Result.Success || count == 0) return values;
        var statistics = new PipelineExecutableStatisticKHR[count];
        Array.Fill(statistics, new PipelineExecutableStatisticKHR(sType: StructureType.PipelineExecutableStatisticKhr));
        fixed (PipelineExecutableStatisticKHR* p = statistics)
        {
            if (ask(device, &executable, &count, p) < Result.Success) return values;
            for (int i = 0; i < count; i++) values[NativeStrings.Read(p[i].Name)] = ValueOf(p[i]);
        }

        return values;
    }

    private static double ValueOf(in PipelineExecutableStatisticKHR statistic) => statistic.Format switch
    {
        PipelineExecutableStatisticFormatKHR.Bool32Khr => statistic.Value.B32 ? 1 : 0,
        PipelineExecutableStatisticFormatKHR.Int64Khr => statistic.Value.I64,
        PipelineExecutableStatisticFormatKHR.Uint64Khr => statistic.Value.U64,
        _ => statistic.Value.F64,
    };
}
