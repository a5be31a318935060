using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;
using LdlVk.Vulkan.Kernels;

namespace LdlVk.Vulkan.Tests;

/// <summary>Tuning is kept, and changes no bit, whatever is chosen and whatever the file contains.</summary>
public sealed class VulkanTunerTests : VulkanTest, IDisposable
{
    private const int Features = 75, Columns = 160;

    private readonly string _folder = Directory.CreateTempSubdirectory("ldlvk-tune").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Each driver with the family of kernels that it chooses, and with the others.</summary>
    public static TheoryData<int, string> Families => [.. Drivers.SelectMany(d => new[] { "own", nameof(LinearFamily.Tile), nameof(LinearFamily.Matrix) }.Select(f => (d.Data, f)))];

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Families))]
    public void Every_choice_gives_the_bits_of_the_default(int index, string family)
    {
        using VulkanDevice device = OpenFamily(index, family, null);
        // VulkanMatrixTests tries more tilings of matrix units, which a driver on a processor compiles slowly.
        bool matrix = family == nameof(LinearFamily.Matrix);
        foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
            foreach (int rows in matrix ? [33] : (int[])[1, 7, 33])
            {
                float[] guessed = Compute(device, format, rows);
                IReadOnlyList<ITiling> all = device.Resources.LinearKernels.Candidates(device.Resources.LinearKernels.KeyOf(new LinearProduct(format, false, Features, Columns, rows)));
                Assert.Equal(all.Count, all.Select(t => t.Name).Distinct().Count());
                foreach (ITiling tiling in all is [MatrixTiles, ..] ? all.Where((_, i) => i % 97 == 50) : all)
                {
                    device.Resources.LinearKernels.Forced = tiling.Name;
                    Assert.True(guessed.AsSpan().SequenceEqual(Compute(device, format, rows)), $"{tiling.Name} gives other bits than {all[0].Name} with {rows} rows in {format}");
                }

                device.Resources.LinearKernels.Forced = null;
            }
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Families))]
    public void Tuned_choices_are_used_and_kept_and_give_the_same_bits(int index, string family)
    {
        WeightFormat format = family == nameof(LinearFamily.Matrix) ? WeightFormat.Fp16 : WeightFormat.Int8;
        LinearProduct[] products = [new(format, false, Features, Columns, 30), new(format, false, Features, Columns, 17), new(format, true, Features, Columns, 32)];
        // Kernels on matrix units take by far the longest to compile with a driver on a processor.
        TimeSpan? limit = family == nameof(LinearFamily.Matrix) ? TimeSpan.FromSeconds(5) : null;
        float[] untuned;
        List<TunedProduct> reports = [];
        using (VulkanDevice device = OpenFamily(index, family, _folder))
        {
            untuned = Compute(device, format, 30);
            Assert.Equal(products, device.Untuned(products));
            // What a limit leaves is done at the next starts.
            for (int starts = 0; starts < 2 && device.Untuned(products).Count > 0; starts++)
                Assert.True(device.Tune(device.Untuned(products), limit, new Listener(reports.Add)));
            Assert.Empty(device.Untuned(products));
            Assert.NotEmpty(device.Untuned([products[0] with { Rows = 33 }]));
            Assert.NotEmpty(device.Untuned([products[0] with { InputFeatures = Columns + 1 }]));
            Assert.Null(device.Resources.LinearKernels.Forced);
            Assert.True(untuned.AsSpan().SequenceEqual(Compute(device, format, 30)), "tuning changed bits");
        }

        // 17 and 30 rows share their tiles; gate and up are one product on matrix units alone.
        Assert.Equal(family == nameof(LinearFamily.Matrix) ? 2 : 1, reports.Count);
        Assert.Contains(reports, r => r.Tried > 1);
        Assert.All(reports.Where(r => r.Tried > 0), r => Assert.True(r.Seconds > 0 && r.Seconds <= r.GuessSeconds && r.Product.Rows == 32));
        using VulkanDevice again = OpenFamily(index, family, _folder);
        Assert.Empty(again.Untuned(products));
        Assert.Equal(reports.Select(r => r.Tiles), reports.Select(r => again.Resources.LinearKernels.Choices[again.Resources.LinearKernels.KeyOf(r.Product)]));
        Assert.True(untuned.AsSpan().SequenceEqual(Compute(again, format, 30)), "what was kept changed bits");
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Every_choice_in_a_file_is_used_or_ignored(int index)
    {
        float[] wanted;
        TilingKey key;
        string[] names;
        using (VulkanDevice device = OpenFamily(index, "own", _folder))
        {
            wanted = Compute(device, WeightFormat.Fp16, 20);
            key = device.Resources.LinearKernels.KeyOf(new LinearProduct(WeightFormat.Fp16, false, Features, Columns, 20));
            names = [.. device.Resources.LinearKernels.Candidates(key).Select(c => c.Name).TakeLast(3)];
        }

        foreach (string name in (string[])["", "0x0", "1000000x1000000/16x16x2", "\0", new string('9', 100_000), .. names])
        {
            using (VulkanDevice device = OpenFamily(index, "own", _folder))
            {
                device.Resources.LinearKernels.Choose(key, name);
                Assert.True(device.Resources.LinearKernels.Choices.Save());
            }

            using VulkanDevice reader = OpenFamily(index, "own", _folder);
            Assert.Equal(name, reader.Resources.LinearKernels.Choices[key]);
            Assert.True(wanted.AsSpan().SequenceEqual(Compute(reader, WeightFormat.Fp16, 20)), $"the choice \"{name}\" changed bits");
        }

        File.WriteAllText(Path.Combine(_folder, Path.GetFileName(Directory.GetFiles(_folder, "tiles-*").Single())), "{\"device\":");
        using VulkanDevice damaged = OpenFamily(index, "own", _folder);
        Assert.Null(damaged.Resources.LinearKernels.Choices[key]);
        Assert.True(wanted.AsSpan().SequenceEqual(Compute(damaged, WeightFormat.Fp16, 20)));
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Without_a_place_to_keep_choices_only_limited_tuning_is_left_out(int index)
    {
        LinearProduct[] products = [new(WeightFormat.Fp16, false, Features, Columns, 16)];
        using VulkanDevice device = OpenFamily(index, "own", null);
        Assert.Null(device.ChoicesFile);
        List<TunedProduct> reports = [];
        Assert.False(device.Tune(products, TimeSpan.FromSeconds(5), new Listener(reports.Add)));
        Assert.Empty(reports);
        Assert.False(device.Tune(products, null, new Listener(reports.Add)));
        Assert.Single(reports);
        Assert.Empty(device.Untuned(products));
    }

    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Without_time_left_the_default_stays_and_the_others_are_left_for_the_next_start(int index)
    {
        LinearProduct[] products = [new(WeightFormat.Fp16, false, Features, Columns, 16), new(WeightFormat.Fp16, false, Features, Columns, 64)];
        using VulkanDevice device = OpenFamily(index, "own", _folder);
        List<TunedProduct> reports = [];
        Assert.True(device.Tune(products, TimeSpan.Zero, new Listener(reports.Add)));
        Assert.All(reports, r => Assert.Equal((r.Guess, 0, 0.0), (r.Tiles, r.Tried, r.Seconds)));
        // The largest comes first.
        Assert.Equal([products[1]], reports.Select(r => r.Product));
        Assert.Equal([products[0]], device.Untuned(products));
        Assert.True(device.Tune(device.Untuned(products), TimeSpan.Zero));
        Assert.Empty(device.Untuned(products));
    }

    /// <summary>A product that was being measured when tuning was stopped, or crashed, is not measured again at the next start.</summary>
    [Theory(SkipTestWithoutData = true)]
    [MemberData(nameof(Drivers))]
    public void Cancelled_tuning_keeps_the_defaults(int index)
    {
        LinearProduct[] products = [new(WeightFormat.Fp16, false, Features, Columns, 16)];
        using (VulkanDevice device = OpenFamily(index, "own", _folder))
            Assert.Throws<OperationCanceledException>(() => device.Tune(products, null, null, new CancellationToken(canceled: true)));
        using VulkanDevice again = OpenFamily(index, "own", _folder);
        Assert.Empty(again.Untuned(products));
        AssertWorks(again);
        Assert.Equal(0, again.AllocatedBytes);
    }

    [Fact]
    public async Task Processes_may_tune_at_once()
    {
        Assert.SkipWhen(Drivers.Count == 0, "no Vulkan device here");
        (int ExitCode, string Output)[] children = await Task.WhenAll(Enumerable.Range(1, 2).Select(n => VulkanChild.Run($"tune {_folder} {32 * n}")));
        Assert.All(children, c => Assert.True(c.ExitCode == 0, c.Output));
        string file = Assert.Single(Directory.GetFiles(_folder, "tiles-*"));
        Assert.DoesNotContain(Directory.GetFiles(_folder), f => f.StartsWith($"{file}.", StringComparison.Ordinal));
        using VulkanDevice device = OpenFamily(0, "own", _folder);
        // The process that wrote last may have missed the other's last choice, but nothing else.
        Assert.InRange(device.Untuned([Child(32), Child(64)]).Count, 0, 1);
    }

    /// <summary>The product that <see cref="VulkanChild"/> tunes.</summary>
    internal static LinearProduct Child(int features) => new(WeightFormat.Fp16, false, features, 64, 16);

    private static VulkanDevice OpenFamily(int index, string family, string? folder)
    {
        VulkanDevice device = Open(index, cacheFolder: folder, linear: family == "own" ? null : Enum.Parse<LinearFamily>(family));
        if (family != nameof(LinearFamily.Matrix) || device.Resources.LinearKernels.HasMatrixUnits) return device;
        string name = device.Info.Name;
        device.Dispose();
        Assert.Skip($"{name} has no matrix units.");
        return device;
    }

    /// <summary>The bits of Linear with a bias and of GatedLinear.</summary>
    private static float[] Compute(VulkanDevice device, WeightFormat format, int rows)
    {
        using ITensor x = RandomTensor.Create(device, rows, Columns), bias = RandomTensor.Create(device, 1, Features);
        using ITensor y = device.CreateTensor(rows, Features), scratch = device.CreateTensor(rows, Features);
        using IWeight w = device.CreateWeight(new RandomWeightSource("w", Features, Columns, format, 1)), up = device.CreateWeight(new RandomWeightSource("up", Features, Columns, format, 2));
        device.Linear(y, x, w, bias, Activation.LeakyRelu);
        float[] linear = Read(device, y);
        device.GatedLinear(y, scratch, x, w, up, GateActivation.Gelu);
        float[] all = [.. linear, .. Read(device, y)];
        Assert.Contains(all, v => v != 0);
        Assert.All(all, v => Assert.True(float.IsFinite(v)));
        return all;
    }

    private sealed class Listener(Action<TunedProduct> heard) : IProgress<TunedProduct>
    {
        public void Report(TunedProduct value) => heard(value);
    }
}
