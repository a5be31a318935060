namespace LdlVk.Vulkan.Device;

/// <summary>What brings data to a device.</summary>
internal enum UploadQueue
{
    /// <summary>A graphics card's copy engines where there are any, else the queue that computes; weights the host itself where it can.</summary>
    Auto,
    /// <summary>The queue that computes, also for weights, for tests: as on a graphics card without copy engines.</summary>
    Computing,
    /// <summary>A stream of its own wherever that is possible, for tests: on copy engines, on a second queue, or beside the first on the only one.</summary>
    Separate,
}

/// <summary>The queues of a device.</summary>
/// <param name="Families">Their families, that of the queue that computes first.</param>
/// <param name="ComputeFamilyQueues">How many queues of the first family there are.</param>
/// <param name="Copy">The queue for uploads; null if they take the one that computes.</param>
internal sealed record QueueChoice(uint[] Families, uint ComputeFamilyQueues, (uint Family, uint Index)? Copy)
{
    public static QueueChoice For(PhysicalDeviceFacts facts, UploadQueue upload)
    {
        uint compute = facts.ComputeQueueFamily;
        if (facts.CopyQueueFamily is { } family) return new QueueChoice([compute, family], 1, (family, 0));
        if (upload != UploadQueue.Separate) return new QueueChoice([compute], 1, null);
        uint queues = Math.Min(2, facts.QueueFamilies[compute].QueueCount);
        return new QueueChoice([compute], queues, (compute, queues - 1));
    }
}
