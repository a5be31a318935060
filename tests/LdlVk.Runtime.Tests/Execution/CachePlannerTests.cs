using LdlVk.Runtime.Execution;
using Xunit;
using static LdlVk.Runtime.Tests.Execution.PlannerTests;

namespace LdlVk.Runtime.Tests.Execution;

/// <summary>The prompt cache's room in plans of the 27B model.</summary>
public sealed class CachePlannerTests
{
    /// <summary>A token's keys and values take 2 · 16 heads · 128 · 4 bytes in each of 46 layers.</summary>
    [Fact]
    public void The_prompt_cache_takes_a_part_of_what_is_left_or_has_its_room_before_the_layers()
    {
        const long token = 46 * 2 * 16 * 128 * 4;
        PlanRequest request = Request(WeightFormat.Int8, Gpu(0, 48 * GiB)) with { CacheBytes = null };
        ExecutionPlan automatic = Planner.Make(request);
        CheckSound(automatic);
        Assert.InRange(automatic.CacheTokens * token, 4 * GiB, 10 * GiB);
        Assert.Equal(automatic.CacheTokens * token, automatic.Stages[0].CacheBytes);

        ExecutionPlan given = Planner.Make(request with { CacheBytes = 12 * GiB });
        CheckSound(given);
        Assert.Equal(12 * GiB / token, given.CacheTokens);
        Assert.False(given.Streams);

        // On a card that just holds the model, layers are streamed for a cache that is asked for, and for no other.
        PlanRequest full = Request(WeightFormat.Int8, Gpu(0, 32 * GiB)) with { HostBytes = 64 * GiB };
        ExecutionPlan without = Planner.Make(full), alone = Planner.Make(full with { CacheBytes = null }), streams = Planner.Make(full with { CacheBytes = 8 * GiB });
        Assert.False(without.Streams);
        Assert.False(alone.Streams);
        Assert.Equal(0, without.CacheTokens);
        Assert.True(streams.Streams);
        Assert.Equal(8 * GiB / token, streams.CacheTokens);
        CheckSound(alone);
        CheckSound(streams);

        // Two cards keep the part of their layers each.
        ExecutionPlan two = Planner.Make(Request(WeightFormat.Int8, Gpu(0, 24 * GiB), Gpu(1, 24 * GiB)) with { CacheBytes = 4 * GiB });
        CheckSound(two);
        Assert.Equal(4 * GiB / token, two.CacheTokens);
        Assert.Equal(two.Stages.Select(s => two.CacheTokens * token / 46 * s.Layers.Count), two.Stages.Select(s => s.CacheBytes));
    }

    /// <summary>What leaves cards goes to host memory that streamed layers leave, in a part of it or as much as is asked for.</summary>
    [Fact]
    public void The_prompt_cache_has_host_memory_behind_cards()
    {
        const long token = 46 * 2 * 16 * 128 * 4;
        PlanRequest request = Request(WeightFormat.Int8, Gpu(0, 48 * GiB)) with { CacheBytes = null, HostCacheBytes = null, FreeHostBytes = 64 * GiB };
        ExecutionPlan automatic = Planner.Make(request);
        Assert.Equal(((int)(4 * GiB / token), automatic.HostCacheTokens * token), (automatic.HostCacheTokens, automatic.HostCacheBytes));
        Assert.Equal(8 * GiB / token, Planner.Make(request with { FreeHostBytes = 1024 * GiB }).HostCacheTokens);
        Assert.Equal(0, Planner.Make(request with { FreeHostBytes = GiB }).HostCacheTokens);
        Assert.Equal(0, Planner.Make(request with { CacheBytes = 0 }).HostCacheTokens);
        Assert.Equal(0, Planner.Make(request with { HostCacheBytes = 0 }).HostCacheTokens);

        ExecutionPlan given = Planner.Make(request with { HostCacheBytes = 20 * GiB });
        Assert.Equal(20 * GiB / token, given.HostCacheTokens);
        Assert.Empty(given.Notes);
        // Streamed layers have their host memory first.
        ExecutionPlan streams = Planner.Make(Request(WeightFormat.Int8, Gpu(0, 24 * GiB)) with
        {
            CacheBytes = 4 * GiB, HostBytes = 64 * GiB, FreeHostBytes = 64 * GiB, HostCacheBytes = 60 * GiB,
        });
        Assert.True(streams.Stages[0].Layers.InHostMemory);
        Assert.Equal((64 * GiB - streams.Stages[0].StreamedBytes) / token, streams.HostCacheTokens);
        Assert.Contains($"room for {streams.HostCacheTokens} tokens in host memory instead of {60 * GiB / token}", string.Join(' ', streams.Notes));

        UsageException e = Assert.Throws<UsageException>(() => Planner.Make(request with { HostCacheBytes = 100_000_000 }));
        Assert.Contains("PromptCacheHost of 100 MB holds 132 tokens of this model, which is less than a prompt. Give it 193 MB or more", e.Message);
        ExecutionPlan none = Planner.Make(Request(WeightFormat.Int8, Gpu(0, 32 * GiB)) with { CacheBytes = 0, HostCacheBytes = GiB, FreeHostBytes = 64 * GiB });
        Assert.Contains("for which the devices have no room", string.Join(' ', none.Notes));
        ExecutionPlan cpu = Planner.Make(Request(WeightFormat.Int8, Gpu(0, 64 * GiB) with { Kind = DeviceKind.Cpu }) with
        {
            CacheBytes = null, HostCacheBytes = GiB, FreeHostBytes = 64 * GiB,
        });
        Assert.Equal(0, cpu.HostCacheTokens);
        Assert.Contains("PromptCacheHost adds nothing", string.Join(' ', cpu.Notes));
    }

    [Fact]
    public void A_prompt_cache_without_room_says_so()
    {
        PlanRequest request = Request(WeightFormat.Int8, Gpu(0, 32 * GiB));
        UsageException e = Assert.Throws<UsageException>(() => Planner.Make(request with { CacheBytes = 100_000_000 }));
        Assert.Contains("less than a prompt", e.Message);
        DeviceException full = Assert.Throws<DeviceException>(() => Planner.Make(request with { CacheBytes = 40 * GiB }));
        Assert.Contains("may use 0.0 MB beside the 42.9 GB of PromptCache", full.Message);
        Assert.Contains("a smaller PromptCache", full.Message);
        Assert.Equal(0, Planner.Make(Request(WeightFormat.Int8, Gpu(0, 3 * GiB)) with { CacheBytes = null, HostBytes = 64 * GiB }).CacheTokens);
    }
}
