using CsCheck;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using Xunit;

namespace LdlVk.Runtime.Tests.Execution;

/// <summary>Plans of the 27B model for machines that are made up.</summary>
[Trait("Duration", "Long")]
public sealed class PlannerTests
{
    internal const long GiB = 1L << 30;

    private static readonly BackboneConfig Config = new()
    {
        Architecture = LdlVk.Runtime.Model.Architecture.Gemma2,
        HiddenSize = 4608,
        Layers = 46,
        Heads = 32,
        KeyValueHeads = 16,
        HeadDimension = 128,
        IntermediateSize = 36864,
        VocabularySize = 256000,
        MaxPositions = 8192,
        RmsNormEpsilon = 1e-6f,
        RopeTheta = 10000,
        QueryPreAttentionScalar = 144,
        AttentionSoftcap = 50,
        SlidingWindow = 4096,
    };

    /// <summary>A card that computes 60 TFLOP/s and is given 12 GB/s.</summary>
    private static readonly DeviceSpeed Card = new(60e12, 12e9);

    [Fact]
    public void Two_cards_of_16_GiB_hold_all_of_int8_in_about_equal_parts()
    {
        ExecutionPlan plan = Planner.Make(Request(WeightFormat.Int8, Gpu(0, 16 * GiB), Gpu(1, 16 * GiB)));
        CheckSound(plan);
        Assert.False(plan.Streams);
        Assert.Equal([23, 23], plan.Stages.Select(s => s.Layers.Count));
        Assert.Empty(plan.Notes);
        // Half of the layers' products on each card: 2 · 566 million · 23 operations a token.
        Assert.Equal(60e12 / (2 * 566e6 * 23), plan.TokensPerSecond!.Value, tolerance: 20);
    }

    [Fact]
    public void A_larger_card_takes_what_the_smaller_has_no_room_for()
    {
        ExecutionPlan plan = Planner.Make(Request(WeightFormat.Int8, Gpu(0, 24 * GiB), Gpu(1, 8 * GiB)));
        CheckSound(plan);
        Assert.False(plan.Streams);
        Assert.InRange(plan.Stages[1].Layers.Count, 9, 12);
        // Without the heads it has more room.
        ExecutionPlan other = Planner.Make(Request(WeightFormat.Int8, Gpu(1, 8 * GiB), Gpu(0, 24 * GiB)));
        CheckSound(other);
        Assert.InRange(other.Stages[0].Layers.Count, plan.Stages[1].Layers.Count, 12);
        // With room in host memory half of the layers each is faster, for the uploads hide.
        ExecutionPlan streams = Planner.Make(Request(WeightFormat.Int8, Gpu(0, 24 * GiB), Gpu(1, 8 * GiB)) with { HostBytes = 32 * GiB });
        CheckSound(streams);
        Assert.Equal([23, 23], streams.Stages.Select(s => s.Layers.Count));
        Assert.True(streams.TokensPerSecond > 1.4 * plan.TokensPerSecond);
    }

    [Fact]
    public void A_card_of_twice_the_speed_has_twice_the_layers()
    {
        PlanRequest request = Request(WeightFormat.Int8, Gpu(0, 48 * GiB), Gpu(1, 48 * GiB)) with
        {
            Speed = device => device.Id == "vulkan:0" ? Card with { OperationsPerSecond = 120e12 } : Card,
        };
        ExecutionPlan plan = Planner.Make(request);
        CheckSound(plan);
        Assert.InRange(plan.Stages[0].Layers.Count, 30, 31);
    }

    /// <summary>DESIGN §4: bytes·FLOPS/(bandwidth·2·parameters) = 601.6 MB · 60 T/(12 GB/s · 2 · 566 M) = 2657 tokens hide the upload.</summary>
    [Fact]
    public void A_card_of_8_GiB_streams_in_waves_that_hide_the_uploads()
    {
        ExecutionPlan plan = Planner.Make(Request(WeightFormat.Int8, Gpu(0, 8 * GiB)) with { BatchTokens = 256, HostBytes = 64L << 30 });
        CheckSound(plan);
        StagePlan stage = Assert.Single(plan.Stages);
        Assert.InRange(plan.WaveTokens, 2657, 2657 * 1.5);
        Assert.InRange(stage.Seconds!.Value.Uploading / stage.Seconds.Value.Computing, 0.5, 1);
        Assert.True(stage.Layers.InHostMemory);
        Assert.InRange(stage.Layers.Slots, 2, 3);
        Assert.Contains("vulkan:0 would hold all of its layers with", plan.Notes[0].ToString());
        Assert.Contains("Weights = int4", plan.Notes[0].ToString());
    }

    [Fact]
    public void Fp16_on_the_same_card_streams_as_well_and_80_GB_hold_everything()
    {
        ExecutionPlan small = Planner.Make(Request(WeightFormat.Fp16, Gpu(0, 8 * GiB)));
        CheckSound(small);
        Assert.InRange(small.Stages[0].Layers.Streamed, 40, 46);
        Assert.Contains(small.Notes, n => n.ToString().Contains("Weights = int8"));
        ExecutionPlan large = Planner.Make(Request(WeightFormat.Fp16, Gpu(0, 80_000_000_000)) with { Speed = _ => throw new InvalidOperationException("not needed") });
        CheckSound(large);
        Assert.False(large.Streams);
        Assert.Equal((4096, 16384), (large.BatchTokens, large.WaveTokens));
        Assert.InRange(large.Stages[0].WeightBytes, 51e9, 54e9);
    }

    [Fact]
    public void A_card_too_small_for_a_layer_is_an_error_with_sizes_and_remedies()
    {
        DeviceException e = Assert.Throws<DeviceException>(() => Planner.Make(Request(WeightFormat.Fp16, Gpu(0, GiB))));
        Assert.Equal(DeviceFailure.OutOfMemory, e.Failure);
        foreach (string part in (string[])["fp16", "64 tokens", "1.5 GB", "vulkan:0 (Card)", "987.8 MB", "smaller Weights", "Device = cpu"]) Assert.Contains(part, e.Message);
        Assert.Contains("(Memory)", Assert.Throws<DeviceException>(() => Planner.Make(Request(WeightFormat.Int8, Gpu(0, 16 * GiB)) with { MemoryLimits = [500_000_000] })).Message);
        // The one that the split asks too much of, not the largest.
        e = Assert.Throws<DeviceException>(() => Planner.Make(Request(WeightFormat.Int8, Gpu(0, GiB / 2), Gpu(1, 24 * GiB)) with { Split = [6, 40] }));
        Assert.Contains("vulkan:0 (Card) may use 493.9 MB", e.Message);
    }

    [Theory]
    [InlineData(new[] { 20, 25 }, "Split = 20,25 gives out 45 layers, and the model has 46. Give each of vulkan:0, vulkan:1 at least one, 46 in all.")]
    [InlineData(new[] { 46, 0 }, "Split = 46,0 gives out 46 layers, and the model has 46. Give each of vulkan:0, vulkan:1 at least one, 46 in all.")]
    [InlineData(new[] { 47, -1 }, "at least one")]
    [InlineData(new[] { int.MaxValue, int.MaxValue }, "gives out 4294967294 layers")]
    [InlineData(new[] { 46 }, "Split = 46 is for 1 devices, and there are 2: vulkan:0, vulkan:1. Give one number of layers for each, such as Device = vulkan:0,vulkan:1 Split = 20,26.")]
    [InlineData(new int[0], "for 0 devices")]
    [InlineData(new[] { 20, 20, 6 }, "for 3 devices")]
    public void A_split_that_does_not_add_up_is_an_error(int[] split, string message)
    {
        UsageException e = Assert.Throws<UsageException>(() => Planner.Make(Request(WeightFormat.Int8, Gpu(0, 24 * GiB), Gpu(1, 24 * GiB)) with { Split = split }));
        Assert.Contains(message, e.Message);
    }

    [Fact]
    public void A_split_is_kept_and_what_does_not_fit_streams()
    {
        ExecutionPlan plan = Planner.Make(Request(WeightFormat.Int8, Gpu(0, 24 * GiB), Gpu(1, 8 * GiB)) with { Split = [6, 40] });
        CheckSound(plan);
        Assert.Equal([6, 40], plan.Stages.Select(s => s.Layers.Count));
        Assert.Equal(0, plan.Stages[0].Layers.Streamed);
        Assert.InRange(plan.Stages[1].Layers.Streamed, 29, 36);
    }

    [Fact]
    public void Limits_are_each_devices_own_and_the_last_counts_for_the_rest()
    {
        DeviceInfo card = Gpu(0, 48 * GiB);
        ExecutionPlan plan = Planner.Make(Request(WeightFormat.Int8, card, card) with { MemoryLimits = [20 * GiB, 12 * GiB] });
        CheckSound(plan);
        Assert.Equal([20 * GiB, 12 * GiB], plan.Stages.Select(s => s.Budget));
        Assert.All(Planner.Make(Request(WeightFormat.Int8, card, card) with { MemoryLimits = [17 * GiB] }).Stages, s => Assert.Equal(17 * GiB, s.Budget));
        // A limit above what is free changes nothing.
        Assert.Equal(ModelMemory.UsableBytes(card), Planner.Make(Request(WeightFormat.Int8, card) with { MemoryLimits = [100 * GiB] }).Stages[0].Budget);
    }

    [Fact]
    public void A_device_that_is_there_twice_shares_its_memory_and_its_speed()
    {
        DeviceInfo card = Gpu(0, 48 * GiB);
        ExecutionPlan once = Planner.Make(Request(WeightFormat.Int8, card) with { MemoryLimits = [8 * GiB] });
        ExecutionPlan twice = Planner.Make(Request(WeightFormat.Int8, card, card));
        CheckSound(twice);
        Assert.All(twice.Stages, s => Assert.Equal(ModelMemory.UsableBytes(card) / 2, s.Budget));
        Assert.Equal(once.TokensPerSecond!.Value, twice.TokensPerSecond!.Value, tolerance: 1);
    }

    /// <summary>A software driver has no memory of its own.</summary>
    [Fact]
    public void Devices_that_have_the_hosts_memory_share_it()
    {
        DeviceInfo software = Gpu(0, 80 * GiB) with { Kind = DeviceKind.Software }, cpu = Gpu(1, 80 * GiB) with { Id = "cpu", Kind = DeviceKind.Cpu };
        Assert.All(Planner.Make(Request(WeightFormat.Int8, software, cpu)).Stages, s => Assert.Equal(ModelMemory.UsableBytes(cpu) / 2, s.Budget));
    }

    [Fact]
    public void Devices_of_different_kinds_get_a_note_that_keeps_the_scores()
    {
        PlanRequest request = Request(WeightFormat.Int8, Gpu(0, 24 * GiB), Gpu(1, 24 * GiB) with { Name = "Other" });
        string note = Assert.Single(Planner.Make(request).Notes).ToString();
        Assert.Contains("Device = vulkan:0,vulkan:1 Split = 23,23", note);
    }

    [Fact]
    public void A_device_that_is_no_help_is_left_out_and_the_heads_go_elsewhere()
    {
        DeviceInfo large = Gpu(0, 48 * GiB), tiny = Gpu(1, GiB / 4);
        ExecutionPlan plan = Planner.Make(Request(WeightFormat.Int8, large, tiny)), alone = Planner.Make(Request(WeightFormat.Int8, large));
        CheckSound(plan);
        Assert.Contains("vulkan:1 (Card) is left out", Assert.Single(plan.Notes).ToString());
        Assert.Equal(alone.Stages.Select(s => s.Bytes), plan.Stages.Select(s => s.Bytes));
        // Where the heads have to fit in beside the layers.
        for (long bytes = 29 * GiB; bytes < 33 * GiB; bytes += GiB / 16) CheckSound(Planner.Make(Request(WeightFormat.Int8, Gpu(0, bytes), tiny)));
    }

    /// <summary>A slow card with much memory must not become the bottleneck just because all layers fit there.</summary>
    [Fact]
    public void A_fast_card_streams_rather_than_leave_its_work_to_a_slow_one()
    {
        PlanRequest request = Request(WeightFormat.Int8, Gpu(0, 8 * GiB), Gpu(1, 48 * GiB)) with
        {
            HostBytes = 32 * GiB,
            Speed = device => device.Id == "vulkan:0" ? new DeviceSpeed(200e12, 24e9) : new DeviceSpeed(5e12, 12e9),
        };
        ExecutionPlan plan = Planner.Make(request);
        CheckSound(plan);
        Assert.True(plan.Stages[0].Layers.Count > 40);
    }

    [Fact]
    public void Host_memory_is_given_out_once()
    {
        PlanRequest request = Request(WeightFormat.Fp16, Gpu(0, 8 * GiB), Gpu(1, 8 * GiB)) with { HostBytes = 30_000_000_000 };
        ExecutionPlan plan = Planner.Make(request);
        CheckSound(plan);
        Assert.True(plan.Stages.Where(s => s.Layers.InHostMemory).Sum(s => s.StreamedBytes) <= request.HostBytes);
        Assert.Contains(plan.Notes, n => n.ToString().Contains("read from the model's files for each wave") && n.ToString().Contains("ldlvk convert"));
    }

    [Fact]
    public void Speeds_that_cannot_be_measured_are_no_obstacle()
    {
        foreach (int gib in (int[])[4, 8, 24])
        {
            ExecutionPlan plan = Planner.Make(Request(WeightFormat.Int8, Gpu(0, gib * GiB), Gpu(1, 16 * GiB)) with { Speed = _ => null });
            CheckSound(plan);
            Assert.Null(plan.TokensPerSecond);
        }
    }

    /// <summary>Any machine gets a sound plan, always the same one, or the error that a device is too small.</summary>
    [Theory]
    [InlineData(1, 20, 3)]
    [InlineData(2, 20, 10)]
    [InlineData(2, 40, 8)]
    [InlineData(2, 2, 2)] // not below 512 tokens
    [InlineData(4, 800, 100)]
    public void Several_devices_all_have_work_of_a_few_texts(int stages, int texts, int batches)
    {
        StagePlan stage = Planner.Make(Request(WeightFormat.Int8, Gpu(0, 64 * GiB))).Stages[0];
        var plan = new ExecutionPlan(WeightFormat.Int8, 4096, 4096, [.. Enumerable.Repeat(stage, stages)], []);
        int[][] ids = [.. Enumerable.Range(0, texts).Select(i => Enumerable.Repeat(i, 512).ToArray())];
        Assert.Equal(batches, plan.Pack([.. ids.Select(PackedText.ReadAtEnd)], sharePrefixes: true).Sum(wave => wave.Batches.Count));
    }

    [Fact]
    public void Plans_are_sound_for_any_machine() => Machines(0).Sample(
        request =>
        {
            if (Try(request) is not { } plan) return;
            CheckSound(plan);
            ExecutionPlan again = Planner.Make(request);
            Assert.Equal(plan.Stages, again.Stages);
            Assert.Equal(plan.Notes, again.Notes);
        },
        iter: 2000);

    [Fact]
    public void More_memory_is_never_slower() => MachinesWithMore().Sample(CheckNotSlower, iter: 2000);

    /// <summary>
    /// Machines on which it once was: the heads came to a device that was full without them; waves were tried in halves only; a tenth was
    /// given away twice.
    /// </summary>
    [Theory]
    [InlineData("e3I91LuYVun3")]
    [InlineData("8CwdyatY-1q1")]
    [InlineData("bspc1-0oN9b1")]
    [InlineData("22ceOwoATYv2")]
    public void More_memory_is_never_slower_on_machines_where_it_was(string seed) => MachinesWithMore().Sample(CheckNotSlower, seed: seed, iter: 1);

    /// <summary>A machine, the number of a device, and the bytes that it gets.</summary>
    private static Gen<(PlanRequest Request, int Device, long More)> MachinesWithMore() => Gen.Select(Machines(60 * GiB), Gen.Int[0, 2], Gen.Long[0, 20 * GiB]);

    /// <summary>Checks that more memory does not make a plan slower, up to the tenth by which plans count as equally fast.</summary>
    private static void CheckNotSlower((PlanRequest Request, int Device, long More) machine)
    {
        (PlanRequest request, int device, long more) = machine;
        DeviceInfo[] larger = [.. request.Devices];
        device %= larger.Length;
        larger[device] = larger[device] with { FreeMemoryBytes = larger[device].FreeMemoryBytes + more };
        if (Try(request) is not { } before) return;
        // Below the usual sizes of micro-batches memory counts, not speed.
        if (before.BatchTokens < Math.Min(request.BatchTokens, 1024)) return;
        ExecutionPlan after = Planner.Make(request with { Devices = larger });
        double was = Rate(request, before), becomes = Rate(request, after);
        Assert.True(
            becomes >= 0.899 * was,
            $"{was:F0} → {becomes:F0}: {string.Join("; ", before.Stages.Select(s => s.Layers))} → {string.Join("; ", after.Stages.Select(s => s.Layers))}");
    }

    /// <summary>One device that holds everything is not measured for its plan.</summary>
    private static double Rate(PlanRequest request, ExecutionPlan plan) =>
        plan.TokensPerSecond ?? (request.Speed(Assert.Single(plan.Stages).Device)!.Value.OperationsPerSecond / (2 * 566e6 * Config.Layers));

    private static Gen<PlanRequest> Machines(long hostBytes) =>
        from devices in Gen.Select(Gen.Long[GiB / 4, 40 * GiB], Gen.Double[1e12, 200e12], Gen.Double[1e9, 60e9]).Array[1, 3]
        from format in Gen.OneOfConst(WeightFormat.Fp16, WeightFormat.Int8, WeightFormat.Int4)
        from batch in Gen.OneOfConst(1, 100, 512, 4096, 5000, 100_000)
        from host in Gen.Long[hostBytes, 60 * GiB]
        select Request(format, [.. devices.Select((d, i) => Gpu(i, d.Item1))]) with
        {
            BatchTokens = batch,
            HostBytes = host,
            Speed = device => new DeviceSpeed(devices[device.Id[^1] - '0'].Item2, devices[device.Id[^1] - '0'].Item3),
        };

    internal static PlanRequest Request(WeightFormat format, params DeviceInfo[] devices) =>
        // The heads as published: 72.3 million parameters in fp32.
        new(Config, ModelMemory.OfBackbone(Config, format) with { HeadBytes = 289_000_000 }, format, devices) { BatchTokens = 4096, Speed = _ => Card };

    internal static DeviceInfo Gpu(int number, long free) => new($"vulkan:{number}", "Card", DeviceKind.DiscreteGpu, "driver 1", free, free, []);

    private static ExecutionPlan? Try(PlanRequest request)
    {
        try
        {
            return Planner.Make(request);
        }
        catch (DeviceException e)
        {
            Assert.Contains("may use", e.Message);
            return null;
        }
    }

    internal static void CheckSound(ExecutionPlan plan)
    {
        int next = 0;
        foreach (StagePlan stage in plan.Stages)
        {
            StageLayers layers = stage.Layers;
            Assert.Equal(next, layers.First);
            next = layers.End;
            Assert.InRange(stage.Bytes, 1, stage.Budget);
            Assert.InRange(layers.Streamed, 0, layers.Count);
            Assert.InRange(layers.Slots, layers.Streamed > 0 ? 1 : 0, layers.Streamed);
            Assert.False(layers.Streamed == 0 && layers.Slots > 0);
        }

        Assert.Equal(Config.Layers, next);
        Assert.True(plan.BatchTokens >= 1 && plan.WaveTokens >= plan.BatchTokens);
    }
}
