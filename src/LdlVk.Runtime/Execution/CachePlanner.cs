using System.Globalization;

namespace LdlVk.Runtime.Execution;

/// <summary>
/// Gives the prompt cache its room in a plan. A cache that the user gave a size has it before the layers; one without a size takes a part
/// of what the plan leaves free, and nothing is streamed for its sake. Host memory has what must leave the devices.
/// </summary>
internal static class CachePlanner
{
    /// <summary>Part of a graphics card's free memory. The rest is for programs that start later.</summary>
    private const double CardShare = 0.5;

    /// <summary>Part of the free host memory, which everything else uses too, and at most so many bytes.</summary>
    private const double HostShare = 0.125;

    private const long MaxHostBytes = 1L << 30;

    /// <summary>
    /// Part of the free host memory for what must leave cards, and at most so many bytes: a machine can have many cards, each with a server
    /// of its own that finds the same memory free.
    /// </summary>
    private const double BehindCardsShare = 1.0 / 16;

    private const long MaxBytesBehindCards = 8L << 30;

    /// <summary>A cache for fewer tokens than a prompt has is of no use.</summary>
    private const int MinTokens = 256;

    /// <summary>Bytes of each device that layers must leave.</summary>
    public static long Reserve(PlanRequest request) => (request.CacheBytes ?? 0) / request.Devices.Count;

    /// <summary>Adds the cache to a plan.</summary>
    public static ExecutionPlan Add(PlanRequest request, ExecutionPlan plan) => AddHost(request, AddDevices(request, plan));

    private static ExecutionPlan AddDevices(PlanRequest request, ExecutionPlan plan)
    {
        if (request.CacheBytes == 0) return plan;
        long tokens = plan.Stages.Min(stage => Free(request, plan, stage) / TokenBytes(request, stage));
        if (request.CacheBytes is { } bytes) (plan, tokens) = Limit(request, plan, OptionName.PromptCache, bytes, tokens, "");
        if (tokens < MinTokens) return plan;
        tokens = Math.Min(tokens, int.MaxValue);
        return plan with
        {
            CacheTokens = (int)tokens,
            Stages = [.. plan.Stages.Select(stage => stage with { CacheBytes = tokens * TokenBytes(request, stage) })],
        };
    }

    private static ExecutionPlan AddHost(PlanRequest request, ExecutionPlan plan)
    {
        if (request.HostCacheBytes == 0) return plan;
        bool isGiven = request.HostCacheBytes is not null;
        if (isGiven && plan.Stages.All(stage => stage.Device.Kind == DeviceKind.Cpu))
            return Note(plan, $"The CPU device has its prompt cache in host memory: {OptionName.PromptCacheHost} adds nothing to it, and a "
                + $"larger {OptionName.PromptCache} does.");
        if (isGiven && plan.CacheTokens == 0)
            return Note(plan, $"{OptionName.PromptCacheHost} is for what leaves the prompt cache, for which the devices have no room: "
                + $"{OptionName.PromptCache} would make some.");
        bool onCards = plan.Stages.Any(stage => stage.Device.Kind == DeviceKind.DiscreteGpu);
        if (plan.CacheTokens == 0 || (!isGiven && !onCards)) return plan;
        long free = request.FreeHostBytes
            - plan.Stages.Sum(stage => stage.Layers.InHostMemory ? stage.StreamedBytes : 0)
            - plan.Stages.Sum(stage => stage.Device.Kind == DeviceKind.DiscreteGpu ? 0 : stage.Bytes);
        long tokenBytes = plan.Stages.Sum(stage => TokenBytes(request, stage)), tokens = Math.Max(0, free) / tokenBytes;
        if (request.HostCacheBytes is { } bytes)
            (plan, tokens) = Limit(request, plan, OptionName.PromptCacheHost, bytes, tokens, " in host memory");
        else
            tokens = Math.Min((long)(tokens * BehindCardsShare), MaxBytesBehindCards / tokenBytes);
        if (tokens < MinTokens) return plan;
        tokens = Math.Min(tokens, int.MaxValue);
        return plan with { HostCacheTokens = (int)tokens, HostCacheBytes = tokens * tokenBytes };
    }

    /// <summary>The tokens of a cache that the user gave a size; a note says if there is room for fewer.</summary>
    /// <param name="request">The model.</param>
    /// <param name="plan">The plan so far.</param>
    /// <param name="option">The option that sets the size.</param>
    /// <param name="bytes">The size.</param>
    /// <param name="room">Tokens that there is room for.</param>
    /// <param name="place">Where, for the note.</param>
    private static (ExecutionPlan Plan, long Tokens) Limit(
        PlanRequest request, ExecutionPlan plan, OptionName option, long bytes, long room, string place)
    {
        long tokenBytes = plan.Stages.Sum(stage => TokenBytes(request, stage)), wanted = bytes / tokenBytes;
        if (wanted < MinTokens)
            throw new UsageException(
                $"{option} of {Megabytes(bytes)} holds {wanted} tokens of this model, which is less than a prompt. "
                    + $"Give it {Megabytes(MinTokens * tokenBytes)} or more, or 0 for none.");
        if (room >= wanted) return (plan, wanted);
        return (Note(plan, $"The prompt cache has room for {room} tokens{place} instead of {wanted}, for want of memory."), room);
    }

    private static ExecutionPlan Note(ExecutionPlan plan, Notice note) => plan with { Notes = [.. plan.Notes, note] };

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
