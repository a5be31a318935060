using LdlVk.DirectML.Device;
using LdlVk.DirectML.Interop;
using LdlVk.DirectML.Ops;
using LdlVk.Runtime.Batching;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;
using LdlVk.Testing;

// The shared devices are not thread-safe.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace LdlVk.DirectML.Tests;

/// <summary>The DirectML backend beside others, over many scores, and when its device fails. What it computes is held to the contract elsewhere.</summary>
public sealed class DirectMLTests
{
    private const string Id = "directml:0";

    private static readonly string Folder = Goldens.Read("b_bf16_sharded").Folder;

    private static readonly TokenizedText[] Texts =
        [.. Enumerable.Range(0, 6).Select(i => new TokenizedText([.. Enumerable.Range(2, 9), .. Enumerable.Range(20 + i, 1 + (i % 4))])), new([2, 3]), new([.. Enumerable.Range(2, 60)])];

    [Trait("Wine", "Alone")]
    [Theory]
    [InlineData("a_f32_sliding")]
    [InlineData("c_bf16_outliers")]
    public void Fp32_scores_are_the_other_devices_to_four_digits(string name)
    {
        SkipWithoutDevice();
        GoldenCase golden = Goldens.Read(name);
        int[][] texts = [.. golden.Inputs.SelectMany(i => i.Rows).Select(r => r.Ids)];
        float[] ours = Scores(Id);
        foreach (string other in TestDevices.Present.Where(id => id is "cpu" or "vulkan:0"))
        {
            float[] theirs = Scores(other);
            for (int i = 0; i < ours.Length; i++) Assert.Equal(theirs[i], ours[i], 1e-4);
        }

        float[] Scores(string id)
        {
            using Checkpoint checkpoint = Checkpoint.Open(golden.Folder);
            using ScoringEngine engine = ScoringEngine.Load(TestDevices.Shared(id), checkpoint, new LoadSettings(WeightFormat.Fp32));
            float[] scores = new float[texts.Length];
            foreach (MicroBatch batch in Packer.Pack(texts, 4096))
            {
                Reward[] rewards = engine.Score(batch);
                for (int i = 0; i < rewards.Length; i++) scores[batch.Texts[i]] = rewards[i].Score;
            }

            return scores;
        }
    }

    /// <summary>Layers divided between DirectML and another device, as a split over both does.</summary>
    [Trait("Wine", "Alone")]
    [Theory]
    [InlineData("directml:0,cpu")]
    [InlineData("vulkan:0,directml:0")]
    public async Task Layers_may_be_divided_with_other_devices(string devices)
    {
        SkipWithoutDevice();
        string? missing = devices.Split(',').FirstOrDefault(id => !TestDevices.Present.Contains(id));
        Assert.SkipWhen(missing is not null, $"there is no {missing}");
        float[] want = await Scores(new RewardModelOptions { Device = "cpu", Weights = WeightFormat.Fp32 });
        float[] got = await Scores(new RewardModelOptions { Device = devices, Weights = WeightFormat.Fp32, BatchTokens = 24 });
        Assert.All(want.Zip(got), pair => Assert.Equal(pair.First, pair.Second, 2e-4));

        static async Task<float[]> Scores(RewardModelOptions options)
        {
            using RewardModel model = RewardModel.Load(Folder, options);
            Assert.Equal(options.Device.Split(',').Length, model.Plan.Stages.Count);
            return await Score(model);
        }
    }

    /// <summary>A model of one small layer, as a thousand scores take a while here; texts of many lengths, so that all graphs are used.</summary>
    [Trait("Wine", "Alone")]
    [Fact]
    public void A_thousand_scores_leave_nothing_behind()
    {
        SkipWithoutDevice();
        int before = ComObject.Living;
        string folder = Directory.CreateTempSubdirectory("ldlvk-directml").FullName;
        try
        {
            SyntheticCheckpoint.Write(folder, new SyntheticShape(64, 1, 2, 1, 32, 128, 128, 16));
            using var device = (DirectMLDevice)DirectMLBackend.Open(0);
            using Checkpoint checkpoint = Checkpoint.Open(folder);
            using ScoringEngine engine = ScoringEngine.Load(device, checkpoint, new LoadSettings(WeightFormat.Int8));
            void Score(int i) => engine.Score(Packer.Pack([[.. Enumerable.Range(2, 1 + (i * 7 % 100))]], 4096).Single());
            for (int i = 0; i < 100; i++) Score(i);
            (int objects, long held, long allocated) = (ComObject.Living, device.HeldBytes, device.AllocatedBytes);
            for (int i = 0; i < 1000; i++) Score(i);
            // What waits to be freed is the same after the same text.
            Assert.Equal(objects, ComObject.Living);
            Assert.Equal(held, device.HeldBytes);
            Assert.Equal(allocated, device.AllocatedBytes);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        Assert.Equal(before, ComObject.Living);
    }

    /// <summary>
    /// A device that is removed at some call of a run says so at each use until it is opened again, once; each text gets its score once.
    /// </summary>
    [Trait("Wine", "Alone")]
    [Fact]
    public Task A_device_removed_at_any_call_is_opened_again() => AnyCallFails(streams: false);

    /// <summary>The same where layers are streamed, so that some calls are copies of weights.</summary>
    [Trait("Wine", "Alone")]
    [Fact]
    public Task A_device_removed_while_layers_are_streamed_is_opened_again() => AnyCallFails(streams: true);

    private static async Task AnyCallFails(bool streams)
    {
        SkipWithoutDevice();
        int living = ComObject.Living;
        float[] want;
        using (RewardModel model = RewardModel.Load(Folder, Options())) want = await Score(model);
        RewardModelOptions options = streams ? Options() with { Memory = [MemoryForTwoLayers()] } : Options();
        HashSet<string> failed = [];
        // The first round of streamed layers fails where one queue waits for the other, which fences that say nothing make it do.
        for (int n = streams ? -1 : 0; ; n = n < 0 ? 0 : n + 3 + n)
        {
            List<string> warnings = [];
            int opened = 0, loaded = int.MaxValue;
            FaultyDirect3D? faulty = null;
            using (RewardModel model = RewardModel.Load(Folder, _ =>
            {
                if (opened++ > 0)
                {
                    faulty!.Dispose();
                    return DirectMLBackend.Open(0);
                }

                DirectMLDevice first = OpenFaulty(out faulty);
                faulty.Fault = (name, i) =>
                {
                    if (n < 0 ? i < loaded || name != "Wait" : i - loaded < n) return 0;
                    faulty.Stalled = false;
                    failed.Add(name);
                    return HResult.DeviceRemoved;
                };
                return first;
            }, options))
            {
                Assert.Equal(streams, model.Plan.Streams);
                model.Warning += w => warnings.Add(w.ToString());
                loaded = faulty!.Calls;
                faulty.Stalled = n < 0;
                Assert.Equal(want, await Score(model));
            }

            bool lost = faulty.Lost;
            faulty.Dispose();
            if (!lost) break;
            Assert.Equal(2, opened);
            Assert.Contains("was lost", Assert.Single(warnings));
        }

        Assert.Contains("Signal", failed);
        Assert.Contains("GetCompletedValue", failed);
        if (streams) Assert.Contains("Wait", failed);
        Assert.Equal(living, ComObject.Living);
    }

    [Trait("Wine", "Alone")]
    [Fact]
    public async Task A_device_that_does_not_come_back_is_an_error()
    {
        SkipWithoutDevice();
        int opened = 0;
        FaultyDirect3D? faulty = null;
        using (RewardModel model = RewardModel.Load(Folder, _ => opened++ == 0 ? OpenFaulty(out faulty) : throw new DeviceException("no such device (on purpose)"), Options()))
        {
            faulty!.Fault = (_, _) => HResult.DeviceRemoved;
            DeviceException e = await Assert.ThrowsAsync<DeviceException>(() => Score(model));
            Assert.Equal(DeviceFailure.Lost, e.Failure);
            Assert.Contains("directml:0 (", e.Message);
            Assert.Contains("cannot be put there again: no such device", e.Message);
        }

        faulty.Dispose();
    }

    [Trait("Wine", "Alone")]
    [Fact]
    public void A_removed_device_says_so_at_each_use_and_closes_quietly()
    {
        SkipWithoutDevice();
        int living = ComObject.Living;
        DirectMLDevice device = OpenFaulty(out FaultyDirect3D faulty);
        using FaultyDirect3D restored = faulty;
        ITensor tensor = device.CreateTensor(4, 4);
        faulty.Fault = (_, _) => HResult.DeviceRemoved;
        DeviceException e = Assert.Throws<DeviceException>(() => device.Read(tensor, new float[16]));
        Assert.Equal(DeviceFailure.Lost, e.Failure);
        Assert.Contains("DXGI_ERROR_DEVICE_REMOVED (reason: DXGI_ERROR_DEVICE_HUNG)", e.Message);
        Assert.Contains("Device = vulkan:0", e.Message);
        for (int use = 0; use < 2; use++) Assert.Contains("earlier error", Assert.Throws<DeviceException>(() => device.Read(tensor, new float[16])).Message);
        Assert.Throws<DeviceException>(() => device.CreateTensor(1, 1));
        device.Dispose();
        tensor.Dispose();
        Assert.Equal(living, ComObject.Living);
    }

    [Trait("Wine", "Alone")]
    [Fact]
    public void Want_of_memory_is_an_error_and_the_device_still_works()
    {
        SkipWithoutDevice();
        using DirectMLDevice device = OpenFaulty(out FaultyDirect3D faulty);
        using FaultyDirect3D restored = faulty;
        DeviceProbe.AssertWorks(device);
        faulty.Fault = (name, _) => name == "CreateCommittedResource" ? HResult.OutOfMemory : 0;
        long held = device.HeldBytes;
        DeviceException e = Assert.Throws<DeviceException>(() => device.CreateTensor(1 << 15, 32));
        Assert.Equal(DeviceFailure.OutOfMemory, e.Failure);
        Assert.Contains("4.0 MiB", e.Message);
        Assert.Contains("BatchTokens", e.Message);
        Assert.Contains("Device = vulkan:0", e.Message);
        // What waited to be freed is.
        Assert.InRange(device.HeldBytes, 1, held);
        faulty.Fault = (_, _) => 0;
        DeviceProbe.AssertWorks(device);
    }

    [Trait("Wine", "Alone")]
    [Fact]
    public void The_device_says_which_library_it_is_of()
    {
        SkipWithoutDevice();
        DeviceInfo info = DirectMLBackend.Enumerate()[0];
        Assert.Matches(@"^DirectML 1\.\d+\.\d+ \(.*DirectML.*\)$", info.Driver);
        Assert.Contains(info.Features, feature => feature.StartsWith("feature level ", StringComparison.Ordinal));
        Assert.InRange(info.FreeMemoryBytes, 1, info.MemoryBytes);
        UsageException e = Assert.Throws<UsageException>(() => DirectMLBackend.Open(99));
        Assert.Contains("directml:99", e.Message);
    }

    /// <summary>Where there is no device, the reason says what to use instead.</summary>
    [Fact]
    public void Without_DirectML_the_reason_names_what_works()
    {
        DirectMLBackend.Enumerate(out Notice? why);
        Assert.SkipWhen(why is null, "there is a DirectML device");
        Assert.Equal("Device", Assert.Single(why!.Options));
        Assert.Contains(why.ToString(), Assert.Throws<UsageException>(() => DirectMLBackend.Open(0)).Message);
    }

    [Fact]
    public void The_library_is_looked_for_in_three_places_and_each_says_what_is_wrong_with_it()
    {
        string folder = Directory.CreateTempSubdirectory("ldlvk-directml").FullName;
        try
        {
            string named = Path.Combine(folder, "named"), program = Path.Combine(folder, "program");
            Directory.CreateDirectory(named);
            string[] places = [.. NativeLibraries.Places(program, named, folder)];
            Assert.Equal([Path.Combine(program, "DirectML.dll"), Path.Combine(named, "DirectML.dll"), Path.Combine(folder, "DirectML.dll")], places);
            Assert.Equal([places[0], "some.dll", places[2]], NativeLibraries.Places(program, "some.dll", folder));
            Assert.Equal([places[0], places[2]], NativeLibraries.Places(program, null, folder));

            // One that is there and is none, and a library without the function that came with 1.4.
            File.WriteAllText(places[1], "nothing");
            string another = Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, OperatingSystem.IsWindows() ? "clrjit.dll" : "libclrjit.so");
            Assert.SkipUnless(File.Exists(another), $"there is no {another} to stand for an old DirectML.dll");
            Assert.Null(NativeLibraries.TryFind([.. places[..2], another], out _, out Notice? why));
            Assert.Contains($"{places[0]} (not there)", why!.ToString());
            Assert.Contains($"{places[1]} (not a library that this process can load)", why!.ToString());
            Assert.Contains($"{another} (too old)", why!.ToString());
            Assert.Contains("1.4 or later", why!.ToString());
            Assert.Contains("Microsoft.AI.DirectML", why!.ToString());
            Assert.Contains("LDLVK_DIRECTML", why!.ToString());
            Assert.Contains("Device = vulkan:0", why!.ToString());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void An_adapter_of_a_low_feature_level_is_told_what_is_needed()
    {
        string why = DirectMLAdapter.WhyTooLow(0x4100, @"C:\Windows\System32\DirectML.dll", "1.6.0").ToString();
        Assert.Equal(
            @"has DirectML feature level 4.1 with C:\Windows\System32\DirectML.dll 1.6.0, and 5.1 is needed: put a newer DirectML.dll (package Microsoft.AI.DirectML) beside the executable, or use Device = vulkan:0",
            why);
    }

    /// <summary>Such an adapter is no device, and who asks for it is told why.</summary>
    [Trait("Wine", "Alone")]
    [Fact]
    public void An_adapter_of_a_low_feature_level_is_no_device()
    {
        SkipWithoutDevice();
        IReadOnlyList<DirectMLAdapter> adapters = DirectMLAdapter.All(NativeLibraries.TryLoad(out _)!, out _);
        using (FaultyDirect3D limited = new(adapters[0].Device))
        {
            limited.LimitFeatureLevel(adapters[0].Dml, 0x5000);
            Assert.Empty(DirectMLBackend.Enumerate(out Notice? why));
            Assert.Contains("has DirectML feature level 5.0 with ", why!.ToString());
            Assert.Contains("and 5.1 is needed", why!.ToString());
            UsageException e = Assert.Throws<UsageException>(() => DirectMLBackend.Open(0));
            Assert.Contains("Device = vulkan:0", e.Message);
        }

        foreach (DirectMLAdapter adapter in adapters) adapter.Dispose();
        Assert.NotEmpty(DirectMLBackend.Enumerate());
    }

    /// <summary>Texts of 8192 tokens need 14 graphs, and a tile is never given half as many keys again as it needs.</summary>
    [Fact]
    public void Tiles_are_given_few_keys_too_many()
    {
        int[] sizes = [.. Enumerable.Range(0, 128).Select(AttentionOp.KeysOf)];
        Assert.Equal(14, sizes.Distinct().Count());
        for (int tile = 0; tile < sizes.Length; tile++)
        {
            int needed = (tile + 1) * RowBlocks.Rows;
            Assert.InRange(sizes[tile], needed, needed * 3 / 2);
            Assert.Equal(0, sizes[tile] % RowBlocks.Rows);
        }
    }

    private static RewardModelOptions Options() => new() { Device = Id, BatchTokens = 24, Weights = WeightFormat.Fp16 };

    private static long MemoryForTwoLayers()
    {
        using Checkpoint checkpoint = Checkpoint.Open(Folder);
        ModelMemory memory = ModelMemory.Of(checkpoint.Config, checkpoint.Head, WeightFormat.Fp16, WeightFormat.Fp32)
            .On(ComputeDevices.Candidates("directml:0")[0], checkpoint.Config, WeightFormat.Fp16, ComputeMode.Auto);
        return (2 * memory.LayerBytes) + memory.TableBytes + memory.HeadBytes + memory.ActivationBytes(24, 24);
    }

    private static async Task<float[]> Score(RewardModel model)
    {
        List<float> scores = [];
        await foreach (ScoreResult result in model.ScoreManyAsync(Texts)) scores.Add(result.Value.Score);
        return [.. scores];
    }

    internal static DirectMLDevice OpenFaulty(out FaultyDirect3D faulty)
    {
        DirectMLAdapter[] adapters = [.. DirectMLAdapter.All(NativeLibraries.TryLoad(out _)!, out _)];
        foreach (DirectMLAdapter other in adapters[1..]) other.Dispose();
        faulty = new FaultyDirect3D(adapters[0].Device);
        return new DirectMLDevice(adapters[0], 0, null);
    }

    internal static void SkipWithoutDevice()
    {
        DirectMLBackend.Enumerate(out Notice? why);
        Assert.SkipWhen(why is not null, $"there is no DirectML device: {why}");
    }
}
