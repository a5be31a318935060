using LdlVk.Cpu;
using LdlVk.Runtime.Checkpoints;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;

namespace LdlVk.Scoring;

/// <summary>Which devices a model goes to, and in which format.</summary>
internal static class Placement
{
    /// <summary>Fraction of the free host memory that streamed layers and the prompt cache may take.</summary>
    private const double HostShare = 0.8;

    /// <summary>
    /// Makes the plan for a checkpoint. Devices that the options name are used as named. Otherwise the plan uses the best device on which
    /// all layers fit; else all graphics cards together; else the best device, which streams.
    /// </summary>
    /// <exception cref="UsageException">The options contradict each other or the model.</exception>
    /// <exception cref="DeviceException">
    /// No device has room for a layer and a text, and the message is about the best candidate; or sums in fp16 are asked for and wrong.
    /// </exception>
    public static ExecutionPlan Plan(Checkpoint checkpoint, RewardModelOptions options)
    {
        ExecutionPlan plan = Choose(checkpoint, options);
        // Not while choosing: a processor that simulates such sums is no replacement for a card on which they are wrong.
        if (options.Compute == ComputeMode.Fp16x)
            foreach (StagePlan stage in plan.Stages) HalfSumTrust.Default.Check(stage.Device);
        return plan;
    }

    private static ExecutionPlan Choose(Checkpoint checkpoint, RewardModelOptions options)
    {
        if (options.Weights is { } wanted)
        {
            checkpoint.CheckWeights(wanted);
            ModelMemory.CheckCompute(options.Compute, wanted);
        }

        int names = options.Device.Split(',').Length;
        if (options.Memory.Count > 1 && options.Memory.Count != names)
            throw new UsageException(
                $"{OptionName.Memory} has {options.Memory.Count} figures, and {OptionName.Device.Of(options.Device)} names {names} "
                    + $"device{(names == 1 ? "" : "s")}. Give one figure for all, or one for each, such as "
                    + $"{OptionName.Device.Of("vulkan:0,vulkan:1")} {OptionName.Memory.Of("8GiB,16GiB")}.");
        if (names > 1) return Plan(checkpoint, options, ComputeDevices.Named(options.Device, options.Kernels));
        IReadOnlyList<DeviceInfo> candidates = ComputeDevices.Candidates(options.Device, options.Kernels);
        if (candidates.Count == 1 || options.Split is not null) return Plan(checkpoint, options, [candidates[0]]);
        DeviceException? first = null;
        ExecutionPlan? streaming = null;
        DeviceInfo[] gpus = [.. candidates.Where(d => d.Kind < DeviceKind.Cpu)];
        // The processor is last: a graphics card is faster even if it has to stream.
        foreach (DeviceInfo[] devices in candidates.Where(d => d.Kind != DeviceKind.Cpu).Select(d => (DeviceInfo[])[d])
            .Append([.. gpus.TakeWhile(d => d.Kind == gpus[0].Kind)]).Where(list => list.Length > 0)
            .Concat(candidates.Where(d => d.Kind == DeviceKind.Cpu).Select(d => (DeviceInfo[])[d])))
        {
            if (streaming is not null && devices[0].Kind == DeviceKind.Cpu) break;
            try
            {
                ExecutionPlan plan = Plan(checkpoint, options, devices);
                if (!plan.Streams) return plan;
                // Of plans that stream, one with more cards is faster.
                if (streaming is null || devices.Length > 1) streaming = plan;
            }
            catch (DeviceException e)
            {
                first ??= e;
            }
        }

        return streaming ?? throw first!;
    }

    /// <summary>Makes the plan for given devices, with kernels of theirs that are right.</summary>
    private static ExecutionPlan Plan(Checkpoint checkpoint, RewardModelOptions options, IReadOnlyList<DeviceInfo> named)
    {
        (DeviceInfo Device, Notice? Note)[] tested = [.. named.Select(KernelTrust.Default.Check)];
        DeviceInfo[] devices = [.. tested.Select(t => t.Device)];
        Notice[] notes = [.. tested.Select(t => t.Note).OfType<Notice>()];
        ExecutionPlan plan = PlanFor(checkpoint, options, devices);
        return plan with { Notes = [.. notes, .. plan.Notes] };
    }

    private static ExecutionPlan PlanFor(Checkpoint checkpoint, RewardModelOptions options, IReadOnlyList<DeviceInfo> devices)
    {
        WeightFormat weights = options.Weights ?? checkpoint.Converted?.Weights ?? Format(checkpoint, options, devices);
        ModelMemory.CheckCompute(options.Compute, weights);
        long freeHost = (long)(CpuBackend.Enumerate()[0].FreeMemoryBytes * HostShare);
        ExecutionPlan plan = Planner.Make(new PlanRequest(checkpoint.Config, Memory(checkpoint, options, weights), weights, devices)
        {
            BatchTokens = options.BatchTokens,
            Compute = options.Compute,
            Split = options.Split,
            MemoryLimits = options.Memory,
            CacheBytes = options.SharePrefixes ? options.PromptCache : 0,
            HostCacheBytes = options.SharePrefixes ? options.PromptCacheHost : 0,
            FreeHostBytes = freeHost,
            Speed = device => DeviceSpeeds.Default.Of(device, weights),
            // The files of a converted folder hold rows in the device's format, and stay in the page cache while there is room.
            HostBytes = checkpoint.Converted is null ? HostBytes(freeHost, options, devices) : 0,
        });
        ModelMemory.CheckCompute(options.Compute, plan.Stages.Select(stage => stage.Device));
        return plan;
    }

    /// <summary>
    /// Returns the format for an original: its own (fp16 for bf16 and fp16, fp32 for fp32) if that fits on one of the devices, else int8.
    /// It depends on the largest device, never on their number. Only the user chooses smaller formats: int4 costs accuracy, streaming
    /// does not.
    /// </summary>
    private static WeightFormat Format(Checkpoint checkpoint, RewardModelOptions options, IReadOnlyList<DeviceInfo> devices)
    {
        if (options.Compute == ComputeMode.Int8) return WeightFormat.Int8;
        WeightFormat best = checkpoint.SourceType == ElementType.Fp32 && options.Compute != ComputeMode.Fp16x
            ? WeightFormat.Fp32 : WeightFormat.Fp16;
        for (WeightFormat format = best; format < WeightFormat.Int8; format++)
        {
            int largest = Enumerable.Range(0, devices.Count).MaxBy(Usable);
            var request = new PlanRequest(checkpoint.Config, Memory(checkpoint, options, format), format, [devices[largest]])
            {
                BatchTokens = options.BatchTokens,
                MemoryLimits = options.Memory.Count == 0 ? [] : [Limit(options, largest)],
            };
            if (Fits(request)) return format;
        }

        return WeightFormat.Int8;

        long Usable(int d) => options.Memory.Count == 0 ? devices[d].FreeMemoryBytes
            : Math.Min(ModelMemory.UsableBytes(devices[d]), Limit(options, d));
    }

    private static long Limit(RewardModelOptions options, int device) => options.Memory[Math.Min(device, options.Memory.Count - 1)];

    private static bool Fits(PlanRequest request)
    {
        try
        {
            return !Planner.Make(request).Streams;
        }
        catch (DeviceException)
        {
            return false;
        }
    }

    private static ModelMemory Memory(Checkpoint checkpoint, RewardModelOptions options, WeightFormat weights) =>
        ModelMemory.Of(checkpoint.Config, checkpoint.Head, weights, options.Heads);

    /// <summary>
    /// Returns the bytes of host memory for streamed layers: what may be taken, less what devices without memory of their own will use.
    /// </summary>
    private static long HostBytes(long free, RewardModelOptions options, IReadOnlyList<DeviceInfo> devices)
    {
        long shared = devices.Select((d, i) => d.Kind == DeviceKind.DiscreteGpu ? 0
            : options.Memory.Count == 0 ? ModelMemory.UsableBytes(d) : Limit(options, i)).Sum();
        return Math.Max(0, free - shared);
    }
}
