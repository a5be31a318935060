namespace LdlVk.Vulkan.Device;

/// <summary>The queue that uploads data to a device.</summary>
internal enum UploadQueue
{
    /// <summary>
    /// A graphics card's copy engines if it has any, else the compute queue; where it can, the host writes weights itself.
    /// </summary>
    Auto,
    /// <summary>The compute queue, also for weights, as on a graphics card without copy engines; for tests.</summary>
    Computing,
    /// <summary>A separate stream on copy engines, on a second queue, or else on the only queue; for tests.</summary>
    Separate,
}

/// <summary>The queues of a device.</summary>
/// <param name="Families">Their families; the compute queue's is the first.</param>
/// <param name="ComputeFamilyQueues">Number of queues of the first family.</param>
/// <param name="Copy">The queue for uploads; null if the compute queue uploads.</param>
internal sealed record QueueChoice(uint[] Families, uint ComputeFamilyQueues, (uint Family, uint Index)? Copy)
{
    public static QueueChoice For(PhysicalDeviceFacts facts, UploadQueue upload)
    {
        uint compute = facts.ComputeQueueFamily;
        if (upload != UploadQueue.Computing && facts.CopyQueueFamily is { } family)
            return new QueueChoice([compute, family], 1, (family, 0));
        if (upload != UploadQueue.Separate) return new QueueChoice([compute], 1, null);
        uint queues = Math.Min(2, facts.QueueFamilies[compute].QueueCount);
        return new QueueChoice([compute], queues, (compute, queues - 1));
    }
}
