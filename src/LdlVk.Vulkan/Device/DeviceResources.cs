using System.Text.Json;
using LdlVk.Vulkan.Commands;
using LdlVk.Vulkan.Kernels;
using LdlVk.Vulkan.Memory;
using Silk.NET.Vulkan;

namespace LdlVk.Vulkan.Device;

/// <summary>The Vulkan objects of an open device: created together, destroyed in the reverse order.</summary>
internal sealed unsafe class DeviceResources
{
    private readonly VulkanInstance _instance;
    private readonly PhysicalDevice _physicalDevice;
    private readonly VkDevice _device;
    private readonly DeviceHandles _handles;

    /// <summary>
    /// Opens a device and takes over the instance, which is disposed with it; if this throws, the caller still owns the instance.
    /// </summary>
    public DeviceResources(VulkanInstance instance, PhysicalDevice physicalDevice, VulkanOptions options)
    {
        Api = instance.Api;
        (_instance, _physicalDevice) = (instance, physicalDevice);
        Budget = new MemoryBudget(options.MemoryLimit);
        Facts = PhysicalDeviceFacts.Of(instance, physicalDevice, options.Kernels);
        Family = options.Family ?? LinearKernels.FamilyFor(Facts);
        QueueChoice queues = QueueChoice.For(Facts, options.Upload);
        bool statistics = options.Statistics && CanDescribeKernels;
        _device = CreateDevice(physicalDevice, queues, statistics);
        _handles = new DeviceHandles(instance, _device);
        try
        {
            bool watched = Facts.Kind != DeviceKind.Software;
            Stream = new CommandStream(Api, _device, Facts.ComputeQueueFamily, 0, computes: true, watched);
            if (queues.Copy is { } copy) Copies = new CommandStream(Api, _device, copy.Family, copy.Index, computes: false, watched);
            MemoryKind kind = options.Upload == UploadQueue.Auto && Facts.SharesHostMemory ? MemoryKind.Mapped : MemoryKind.Device;
            Memory = new MemoryAllocator(Api, _device, Facts, Stream, Copies, queues.Families, Budget, kind);
            Saved = new MemoryAllocator(
                Api, _device, Facts, Copies ?? Stream, null, queues.Families, new MemoryBudget(null), MemoryKind.Host);
            Staging = new StagingRing(Api, _device, Facts, Stream, Copies, queues.Families, Budget);
            WeightStaging = Copies is null ? Staging : new StagingRing(Api, _device, Facts, Copies, null, [], Budget);
            Pinned = new PinnedWeights(Api, _device, _handles, Facts, Copies ?? Stream);
            Downloads = new Downloads(Api, _device, Facts, Stream);
            string? cache = options.CacheFolder is { } folder ? Path.Combine(folder, PipelineCacheFile.NameFor(Facts.Properties)) : null;
            Pipelines = new ComputePipelines(Api, _device, Facts, new PipelineCacheFile(statistics ? null : cache, Facts.Properties),
                statistics ? PipelineCreateFlags.CreateCaptureStatisticsBitKhr : 0);
            LinearKernels = new LinearKernels(Family, Facts, new TileChoices(options.CacheFolder, Facts));
            AttentionKernels = new AttentionKernels(Family, Facts);
        }
        catch
        {
            Destroy();
            Api.DestroyDevice(_device, null);
            throw;
        }
    }

    public Vk Api { get; }

    public PhysicalDeviceFacts Facts { get; }

    /// <summary>The family of kernels that products run on.</summary>
    public LinearFamily Family { get; }

    /// <summary>Counts the device memory taken from the driver, and limits it.</summary>
    public MemoryBudget Budget { get; }

    /// <summary>The stream of ops, on the queue that computes.</summary>
    public CommandStream Stream { get; }

    /// <summary>The stream of uploads on a queue of their own; null where <see cref="Stream"/> carries them.</summary>
    public CommandStream? Copies { get; }

    public MemoryAllocator Memory { get; }

    /// <summary>Host memory of saved tensors. Only the stream that copies uses it.</summary>
    public MemoryAllocator Saved { get; }

    /// <summary>Chunks through which activations and lists reach the device.</summary>
    public StagingRing Staging { get; }

    /// <summary>Chunks through which weights reach the device.</summary>
    public StagingRing WeightStaging { get; }

    public PinnedWeights Pinned { get; }

    public Downloads Downloads { get; }

    public ComputePipelines Pipelines { get; }

    public LinearKernels LinearKernels { get; }

    public AttentionKernels AttentionKernels { get; }

    /// <summary>Whether the driver can be asked about the kernels that it compiles.</summary>
    public bool CanDescribeKernels => PhysicalDeviceFacts.HasExtension(Api, _physicalDevice, PipelineStatistics.Extension);

    /// <summary>Writes all that the driver tells.</summary>
    public void Describe(Utf8JsonWriter json) => new DeviceReport(_instance, _physicalDevice, Facts, json).Write();

    /// <summary>Starts to time each command by the device's clock.</summary>
    public CommandTimer StartTimer() => new(Api, _device, Stream, Facts);

    /// <summary>Submits what is recorded and waits until everything is done.</summary>
    public void Finish()
    {
        Stream.Finish();
        Copies?.Finish();
    }

    /// <summary>Waits for the device and destroys everything. Its handle lives on while pinned weights hold it.</summary>
    public void Close()
    {
        Stream.Drain();
        Destroy();
        _handles.LetGo();
    }

    private VkDevice CreateDevice(PhysicalDevice physicalDevice, QueueChoice queues, bool statistics)
    {
        float* priorities = stackalloc float[] { 1, 1 };
        var queue = stackalloc DeviceQueueCreateInfo[2];
        for (int i = 0; i < queues.Families.Length; i++)
        {
            uint count = i == 0 ? queues.ComputeFamilyQueues : 1;
            queue[i] = new DeviceQueueCreateInfo(queueFamilyIndex: queues.Families[i], queueCount: count, pQueuePriorities: priorities);
        }

        using var features = new EnabledFeatures(Api, physicalDevice, Facts, statistics);
        using var names = new NativeStrings([.. features.Extensions]);
        var create = new DeviceCreateInfo(
            pNext: features.Chain, queueCreateInfoCount: (uint)queues.Families.Length, pQueueCreateInfos: queue,
            enabledExtensionCount: names.Count, ppEnabledExtensionNames: names.Pointers);
        Api.CreateDevice(physicalDevice, in create, null, out VkDevice device).Check("vkCreateDevice");
        return device;
    }

    /// <summary>Destroys what has been made so far, in the reverse order.</summary>
    private void Destroy()
    {
        Pipelines?.Dispose();
        Downloads?.Dispose();
        if (WeightStaging != Staging) WeightStaging?.Dispose();
        Staging?.Dispose();
        Saved?.Dispose();
        Memory?.Dispose();
        Copies?.Dispose();
        Stream?.Dispose();
        Pinned?.Close();
    }
}
