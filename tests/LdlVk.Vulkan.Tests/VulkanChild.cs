using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Testing;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Memory;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Tests;

/// <summary>
/// Runs a part of a test in a separate process: the Vulkan loader reads its environment only once, and a deliberate mistake must not reach
/// the validation log of the tests. The child runs this assembly, with an environment variable that replaces the tests by an action.
/// </summary>
internal static class VulkanChild
{
    private const string Variable = "LDLVK_TEST_CHILD";

    /// <summary>Starts a child; its output and exit code come with the task.</summary>
    public static async Task<(int ExitCode, string Output)> Run(string action, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo("dotnet", ["exec", Path.Combine(AppContext.BaseDirectory, "LdlVk.Vulkan.Tests.dll")])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in environment) start.Environment[name] = value;
        start.Environment[Variable] = action;
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, await output + await errors);
    }

    [ModuleInitializer]
    internal static void EnterIfChild()
    {
        if (Environment.GetEnvironmentVariable(Variable) is not { } action) return;
        string[] words = action.Split(' ', 2);
        switch (words[0])
        {
            case "list":
                List();
                break;
            case "err":
                Err();
                break;
            case "gpu":
                Gpu(words[1].Split(' ').Select(n => int.Parse(n, CultureInfo.InvariantCulture)));
                break;
            case "figures":
                foreach (KernelFigures figures in KernelFigures.OfDriver(words[1])) Console.WriteLine(figures);
                break;
            case "use":
                for (int i = 0; i < 5; i++)
                    using (VulkanDevice device = VulkanTest.Open(0, cacheFolder: words[1])) VulkanTest.AssertWorks(device);
                break;
            case "tune":
                string[] folderAndFeatures = words[1].Split(' ');
                using (VulkanDevice device = VulkanTest.Open(0, cacheFolder: folderAndFeatures[0]))
                    for (int i = 0; i < 3; i++) device.Tune([VulkanTunerTests.Child(int.Parse(folderAndFeatures[1], CultureInfo.InvariantCulture))]);
                break;
        }

        Environment.Exit(0);
    }

    private static void List()
    {
        Console.WriteLine($"{VulkanBackend.Enumerate(out string? why).Count} devices: {why}");
        try
        {
            using IDevice device = VulkanBackend.Open(0);
            Console.WriteLine(device.Info.Name);
        }
        catch (UsageException e)
        {
            Console.WriteLine(e.Message);
        }
    }

    /// <summary>Compiles all kernels, and runs a layer's ops on the driver.</summary>
    private static void Gpu(IEnumerable<int> rows)
    {
        using (KernelCompiler compiler = new())
        {
            CompiledKernel[] kernels = [.. rows.SelectMany(r => compiler.Compile(r, 1))];
            Console.WriteLine($"{compiler.Name}\n{kernels.Length} kernels, matrix units: {compiler.HasMatrixUnits}");
            foreach (CompiledKernel kernel in kernels.Where(k => k.Spills.Count > 0))
                Console.WriteLine($"spills: {kernel.Kernel}, {kernel.Variant}: {string.Join(", ", kernel.Spills)}");
        }

        BackboneConfig config = new()
        {
            Architecture = Architecture.Gemma2,
            HiddenSize = 128, Layers = 2, Heads = 4, KeyValueHeads = 2, HeadDimension = 64, IntermediateSize = 256, VocabularySize = 512,
            MaxPositions = 256, RmsNormEpsilon = 1e-6f, RopeTheta = 10000, QueryPreAttentionScalar = 64, AttentionSoftcap = 50, SlidingWindow = 128,
        };
        using VulkanDevice device = VulkanTest.Open(0);
        using (ISelfTestedDevice asked = device.Reopen(Reopening.Statistics)!)
        {
            using ITensor x = asked.CreateTensor(3, 8), y = asked.CreateTensor(3, 8);
            asked.Add(x, y);
            _ = VulkanTest.Read(asked, x);
            Console.WriteLine($"statistics of {asked.Kernels.Count(k => k.Statistics.Count > 0)} of {asked.Kernels.Count} kernels");
        }

        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
        {
            ComputeMode compute = format == WeightFormat.Int4 ? ComputeMode.Int8 : ComputeMode.Auto;
            using SyntheticModel model = new(device, config, new LoadSettings(format, Compute: compute));
            int[][] texts = [SyntheticModel.TokenIds(0, 70, 512), SyntheticModel.TokenIds(1, 9, 512)];
            Console.WriteLine($"{format}: {model.LastHidden(Packer.Pack(texts, 128, sharePrefixes: true).Single()).Length} values");
        }
    }

    /// <summary>Two writes without a barrier between them, and a device destroyed before its buffer.</summary>
    private static unsafe void Err()
    {
        using VulkanInstance instance = VulkanInstance.TryCreate(Vk.GetApi, out _)!;
        PhysicalDevice physical = instance.PhysicalDevices(out _)[0];
        float priority = 1;
        var queue = new DeviceQueueCreateInfo(queueFamilyIndex: 0, queueCount: 1, pQueuePriorities: &priority);
        var create = new DeviceCreateInfo(queueCreateInfoCount: 1, pQueueCreateInfos: &queue);
        instance.Api.CreateDevice(physical, in create, null, out VkDevice device).Check("vkCreateDevice");
        PhysicalDeviceFacts facts = PhysicalDeviceFacts.Of(instance, physical);
        (_, Silk.NET.Vulkan.Buffer buffer, _, _) = MemoryAllocator.CreateBuffer(
            instance.Api, device, facts, 256, BufferUsageFlags.TransferDstBit, [MemoryPropertyFlags.DeviceLocalBit], () => "");
        var pool = new CommandPoolCreateInfo(queueFamilyIndex: 0);
        instance.Api.CreateCommandPool(device, in pool, null, out CommandPool commands).Check("vkCreateCommandPool");
        var allocate = new CommandBufferAllocateInfo(commandPool: commands, level: CommandBufferLevel.Primary, commandBufferCount: 1);
        instance.Api.AllocateCommandBuffers(device, in allocate, out CommandBuffer recorded).Check("vkAllocateCommandBuffers");
        var begin = new CommandBufferBeginInfo(sType: StructureType.CommandBufferBeginInfo);
        instance.Api.BeginCommandBuffer(recorded, in begin).Check("vkBeginCommandBuffer");
        instance.Api.CmdFillBuffer(recorded, buffer, 0, 256, 1);
        instance.Api.CmdFillBuffer(recorded, buffer, 0, 256, 2);
        instance.Api.EndCommandBuffer(recorded).Check("vkEndCommandBuffer");
        instance.Api.DestroyCommandPool(device, commands, null);
        instance.Api.DestroyDevice(device, null);
    }
}
