using System.Globalization;

namespace LdlVk.Runtime.Execution;

/// <summary>
/// Gives the prompt cache its room in a plan. A cache that the user gave a size has it before the layers; one without a size takes a part
/// of what the plan leaves free, and nothing is streamed for its sake.
/// </summary>
internal static class CachePlanner
{
    /// <summary>Part of a graphics card's free memory. The rest is for programs that start later.</summary>
    private const double CardShare = 0.5;

    /// <summary>Part of the free host memory, which everything else uses too, and at most so many bytes.</summary>
    private const double HostShare = 0.125;

    private const long MaxHostBytes = 1L << 30;

    /// <summary>A cache for fewer tokens than a prompt has is of no use.</summary>
    private const int MinTokens = 256;

    /// <summary>Bytes of each device that layers must leave.</summary>
    public static long Reserve(PlanRequest request) => (request.CacheBytes ?? 0) / request.Devices.Count;

    /// <summary>Adds the cache to a plan.</summary>
    public static ExecutionPlan Add(PlanRequest request, ExecutionPlan plan)
    {
        if (request.CacheBytes == 0) return plan;
        long tokens = Math.Min(int.MaxValue, plan.Stages.Min((StagePlan stage) => Free(request, plan, stage) / TokenBytes(request, stage)));
        if (request.CacheBytes is { } bytes)
        {
            long wanted = bytes / plan.Stages.Sum(stage => TokenBytes(request, stage));
            if (wanted < MinTokens)
                throw new UsageException(
                    $"{OptionName.PromptCache} of {Megabytes(bytes)} holds {wanted} tokens of this model, which is less than a prompt. "
                        + $"Give it {Megabytes(MinTokens * plan.Stages.Sum(stage => TokenBytes(request, stage)))} or more, or 0 for none.");
            if (tokens < wanted)
                plan = plan with
                {
                    Notes = [.. plan.Notes,
                        $"The prompt cache has room for {tokens} tokens instead of {wanted}, for want of memory."],
                };
            tokens = Math.Min(tokens, wanted);
        }

        if (tokens < MinTokens) return plan;
        return plan with
        {
            CacheTokens = (int)tokens,
            Stages = [.. plan.Stages.Select(stage => stage with { CacheBytes = tokens * TokenBytes(request, stage) })],
        };
    }

    /// <summary>Bytes of a stage that the cache may take.</summary>
    private static long Free(PlanRequest request, ExecutionPlan plan, StagePlan stage)
    {
        int device = Enumerable.Range(0, request.Devices.Count).First(d => ReferenceEquals(request.Devices[d], stage.Device));
        // A micro-batch can have as many rows of cached prefixes as rows of its own.
        long free = stage.Budget - stage.Bytes - (request.MemoryOn(device).RowBytes * plan.BatchTokens);
        if (free <= 0) return 0;
        if (request.CacheBytes is not null) return free;
        return stage.Device.Kind == DeviceKind.DiscreteGpu ? (long)(free * CardShare) : Math.Min((long)(free * HostShare), MaxHostBytes);
    }

    /// <summary>Bytes of a token's keys and values in all layers of a stage.</summary>
    private static long TokenBytes(PlanRequest request, StagePlan stage) => request.Memory.KeyRowBytes * stage.Layers.Count;

    private static string Megabytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(bytes / 1e6)} MB");
}
