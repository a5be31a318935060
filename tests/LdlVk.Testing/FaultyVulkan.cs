using Silk.NET.Vulkan;

namespace LdlVk.Testing;

/// <summary>
/// A Vulkan loader between the backend and the real one: it counts the calls that can fail, fails the chosen ones, and counts living objects.
///
/// </summary>
public sealed unsafe class FaultyVulkan() : InterposedVulkan([.. Fallible, .. Destroyers])
{
    private static readonly string[] Fallible =
    [
        "vkCreateInstance", "vkEnumeratePhysicalDevices", "vkCreateDevice", "vkCreateCommandPool", "vkAllocateCommandBuffers",
        "vkCreateSemaphore", "vkCreatePipelineLayout", "vkCreatePipelineCache", "vkGetPipelineCacheData", "vkCreateBuffer",
        "vkAllocateMemory", "vkBindBufferMemory", "vkMapMemory", "vkCreateShaderModule", "vkCreateComputePipelines",
        "vkBeginCommandBuffer", "vkEndCommandBuffer", "vkQueueSubmit", "vkGetSemaphoreCounterValue", "vkWaitSemaphores", "vkDeviceWaitIdle",
    ];

    private static readonly string[] Makers =
    [
        "vkCreateInstance", "vkCreateDevice", "vkCreateCommandPool", "vkCreateSemaphore", "vkCreatePipelineLayout",
        "vkCreatePipelineCache", "vkCreateBuffer", "vkAllocateMemory", "vkCreateShaderModule", "vkCreateComputePipelines",
    ];

    private static readonly string[] Destroyers =
    [
        "vkDestroyInstance", "vkDestroyDevice", "vkDestroyCommandPool", "vkDestroySemaphore", "vkDestroyPipelineLayout",
        "vkDestroyPipelineCache", "vkDestroyBuffer", "vkFreeMemory", "vkDestroyShaderModule", "vkDestroyPipeline",
    ];

    private readonly Dictionary<nint, ulong> _sizes = [];
    private readonly HashSet<nint> _blocks = [];

    /// <summary>A submission that was made, with the timeline values it waits for and signals; 0 where there is none.</summary>
    public readonly record struct Submission(ulong AwaitedSemaphore, ulong AwaitedValue, ulong SignalledSemaphore, ulong SignalledValue);

    /// <summary>Calls so far that could fail.</summary>
    public int Calls { get; private set; }

    /// <summary>Objects made and not destroyed.</summary>
    public int Living { get; private set; }

    /// <summary>
    /// The result of a call, given its name and number (from 0); only on success the real call is made, but that of vkDeviceWaitIdle always.
    /// </summary>
    public Func<string, int, Result> Fault { get; set; } = (_, _) => Result.Success;

    /// <summary>The submissions made.</summary>
    public List<Submission> Submissions { get; } = [];

    /// <summary>Device memory beyond which vkAllocateMemory fails.</summary>
    public ulong HeapBytes { get; set; } = ulong.MaxValue;

    public ulong UsedBytes => _sizes.Values.Aggregate(0UL, (a, b) => a + b);

    /// <summary>Bytes of the blocks that kernels reach: device memory.</summary>
    public ulong BlockBytes => _sizes.Where(s => _blocks.Contains(s.Key)).Aggregate(0UL, (sum, s) => sum + s.Value);

    /// <summary>The largest value of <see cref="BlockBytes"/>.</summary>
    public ulong PeakBlockBytes { get; private set; }

    protected override nint Answer(string name, Call real, nint a, nint b, nint c, nint d, nint e, nint f)
    {
        if (Fallible.Contains(name) && Fault(name, Calls++) is var fault and not Result.Success)
        {
            // A driver that says so has ended its work. The real one has not: Mesa's queue thread still releases the semaphores that a
            // finished submission waited for, and crashed where they were destroyed meanwhile (25.0.7, once in some fifty runs).
            if (name == "vkDeviceWaitIdle") real(a, b, c, d, e, f);
            return (int)fault;
        }

        ulong size = name == "vkAllocateMemory" ? ((MemoryAllocateInfo*)b)->AllocationSize : 0;
        if (size > 0 && UsedBytes + size > HeapBytes) return (int)Result.ErrorOutOfDeviceMemory;
        // A result has 32 bits; what lies above them is undefined.
        int result = (int)real(a, b, c, d, e, f);
        if (result == 0 && name == "vkQueueSubmit") Submissions.Add(Read((SubmitInfo*)c));
        if (result == 0 && Makers.Contains(name)) Living++;
        if (result == 0 && size > 0)
        {
            _sizes.Add(*(nint*)d, size);
            if (((MemoryAllocateFlagsInfo*)((MemoryAllocateInfo*)b)->PNext)->Flags.HasFlag(MemoryAllocateFlags.DeviceAddressBit)) _blocks.Add(*(nint*)d);
            PeakBlockBytes = Math.Max(PeakBlockBytes, BlockBytes);
        }

        bool destroysParent = name is "vkDestroyInstance" or "vkDestroyDevice";
        if (Destroyers.Contains(name) && (destroysParent ? a : b) != 0) Living--;
        if (name == "vkFreeMemory")
        {
            _sizes.Remove(b);
            _blocks.Remove(b);
        }

        return result;
    }

    private static Submission Read(SubmitInfo* submit)
    {
        var timeline = (TimelineSemaphoreSubmitInfo*)submit->PNext;
        bool waits = submit->WaitSemaphoreCount > 0;
        return new Submission(waits ? submit->PWaitSemaphores[0].Handle : 0, waits ? timeline->PWaitSemaphoreValues[0] : 0,
            submit->PSignalSemaphores[0].Handle, timeline->PSignalSemaphoreValues[0]);
    }
}
