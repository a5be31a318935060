using LdlVk.Runtime.Devices;
using LdlVk.SelfTest;
using LdlVk.Testing;
using Xunit;

namespace LdlVk.Conformance;

/// <summary>Weights that are filled again and again, and weights pinned in host memory.</summary>
public sealed class FillTests : ConformanceTest
{
    /// <summary>Every device, and with every way in which weights get there.</summary>
    public static TheoryData<string> AllDevices => [.. TestDevices.Ids, .. TestDevices.Copying.Select(device => device.Id)];

    /// <summary>The same with every format.</summary>
    public static TheoryData<string, WeightFormat> AllDevicesAndFormats
    {
        get
        {
            TheoryData<string, WeightFormat> data = [];
            foreach (string id in TestDevices.Ids.Concat(TestDevices.Copying.Select(device => device.Id)))
                foreach (WeightFormat format in Enum.GetValues<WeightFormat>())
                    data.Add(id, format);
            return data;
        }
    }

    /// <summary>
    /// Fills and ops in random order, from plain and from pinned sources, with weights made and disposed among them and nothing waited for:
    /// each op saw the last fill before it, and its scale. Results are exact integers, computed on the side.
    /// </summary>
    [Theory]
    [MemberData(nameof(AllDevicesAndFormats))]
    public void Ops_see_the_last_fill_before_them(string id, WeightFormat format)
    {
        IDevice device = Open(id);
        (int N, int K)[] shapes = [(3, 40), (260, 1000), (64, 512), (33, 300)];
        for (int seed = 0; seed < 3; seed++)
        {
            Random random = new(seed);
            IWeight[] weights = [.. shapes.Select(s => device.CreateWeight(format, s.N, s.K))];
            IntegerWeight?[] filled = new IntegerWeight?[weights.Length];
            Matrix[] inputs = [.. shapes.Select(s => Integers(random, 5, s.K))];
            ITensor[] x = [.. inputs.Select(input => Upload(device, input))];
            List<(ITensor Output, Matrix Wanted, string What)> results = [];
            for (int step = 0; step < 80; step++)
            {
                int i = random.Next(weights.Length);
                switch (filled[i] is null ? 0 : random.Next(8))
                {
                    case 0 or 1 or 2:
                        IntegerWeight source = new((seed * 1000) + step, shapes[i].N, shapes[i].K, format, MathF.ScaleB(1, random.Next(-8, 9)));
                        if (random.Next(2) == 0)
                        {
                            using IHostWeight pinned = device.Pin(source);
                            device.Fill(weights[i], pinned);
                        }
                        else
                        {
                            device.Fill(weights[i], source);
                        }
                        filled[i] = source;
                        break;
                    case 3:
                        // Its memory goes to the next, though the device may still be filling it or computing with it.
                        weights[i].Dispose();
                        weights[i] = device.CreateWeight(format, shapes[i].N, shapes[i].K);
                        filled[i] = null;
                        break;
                    default:
                        ITensor output = Empty(device, 5, shapes[i].N);
                        device.Linear(output, x[i], weights[i]);
                        results.Add((output, filled[i]!.Times(inputs[i]), $"step {step}, {filled[i]!.Name}"));
                        break;
                }
            }

            foreach (IWeight weight in weights) weight.Dispose();
            Assert.InRange(results.Count, 20, 80);
            foreach ((ITensor output, Matrix wanted, string what) in results) Check.SameBits($"Linear on {id}, seed {seed}, {what}", Read(device, output), wanted);
        }

        Assert.Equal(0, device.PinnedBytes);
    }

    /// <summary>Matrices of several staging chunks, each filled while ops with the one before it may still run.</summary>
    [Theory]
    [MemberData(nameof(AllDevices))]
    public void Large_fills_keep_their_order(string id)
    {
        const int N = 2100, K = 8192, Slots = 2, Layers = 5;
        IDevice device = Open(id);
        Matrix input = Integers(new Random(1), 1, K);
        ITensor x = Upload(device, input);
        // Pinned once, as making up rows takes longer than copying them.
        IntegerWeight[] sources = [new(1, N, K, WeightFormat.Int8, 0.5f), new(2, N, K, WeightFormat.Int8, 4), new(3, N, K, WeightFormat.Int8, 1)];
        Matrix[] wanted = [.. sources.AsParallel().AsOrdered().Select(s => s.Times(input))];
        IHostWeight[] pinned = [.. sources.Select(s => Own(device.Pin(s)))];
        IWeight[] slots = [.. Enumerable.Range(0, Slots).Select(_ => Own(device.CreateWeight(WeightFormat.Int8, N, K)))];
        List<ITensor> outputs = [];
        for (int layer = 0; layer < Layers; layer++)
        {
            // Plain memory and pinned memory in turn: the first goes through chunks.
            IHostWeight source = pinned[layer % 3];
            device.Fill(slots[layer % Slots], layer % 2 == layer / 2 % 2 ? new Forwarded(source) : source);
            outputs.Add(Empty(device, 1, N));
            device.Linear(outputs[^1], x, slots[layer % Slots]);
        }

        for (int layer = 0; layer < Layers; layer++) Check.SameBits($"layer {layer} on {id}", Read(device, outputs[layer]), wanted[layer % 3]);
    }

    /// <summary>A pinned weight holds the very bytes of its source, for any device, and also when the device that pinned it is closed.</summary>
    [Theory]
    [MemberData(nameof(AllDevicesAndFormats))]
    public void Pinned_weights_serve_every_device_and_outlive_their_own(string id, WeightFormat format)
    {
        TestWeight source = TestWeight.Random(new Random(1), 70, 100, format, scale: 0.125f);
        long bytes = WeightLayout.MatrixBytes(format, 70, 100);
        IHostWeight pinned;
        using (IDevice device = TestDevices.Get(id).Open())
        {
            Sum progress = new();
            pinned = device.Pin(source, progress);
            Assert.Equal((bytes, bytes, 0L), (progress.Total, device.PinnedBytes, device.AllocatedBytes));
            Assert.Equal((source.Name, 70, 100, format, 0.125f), (pinned.Name, pinned.OutputFeatures, pinned.InputFeatures, pinned.Format, pinned.Scale));
            using (device.Pin(pinned)) Assert.Equal(2 * bytes, device.PinnedBytes);
            Assert.Equal(bytes, device.PinnedBytes);
            // In use when the device closes.
            IWeight weight = device.CreateWeight(format, 70, 100);
            device.Fill(weight, pinned);
        }

        foreach ((int first, int count) in new[] { (0, 70), (69, 1), (13, 20) })
        {
            byte[] values = new byte[count * WeightLayout.RowBytes(format, 100)], wantedValues = new byte[values.Length];
            Half[] scales = new Half[count * WeightLayout.ScalesPerRow(format, 100)], wantedScales = new Half[scales.Length];
            pinned.ReadRows(first, count, values, scales);
            source.ReadRows(first, count, wantedValues, wantedScales);
            Assert.Equal(wantedValues, values);
            Assert.Equal(wantedScales, scales);
        }

        foreach (string other in TestDevices.Ids)
        {
            IDevice device = Open(other);
            Matrix x = Matrix.Random(new Random(2), 3, 100);
            ITensor input = Upload(device, x), fromPinned = Empty(device, 3, 70), direct = Empty(device, 3, 70);
            device.Linear(fromPinned, input, Own(device.CreateWeight(pinned)));
            device.Linear(direct, input, Own(device.CreateWeight(source)));
            Check.SameBits($"weight pinned by {id}, on {other}", Read(device, fromPinned), Read(device, direct));
        }

        pinned.Dispose();
        pinned.Dispose();
        Assert.Throws<ObjectDisposedException>(() => pinned.ReadRows(0, 1, new byte[WeightLayout.RowBytes(format, 100)], new Half[WeightLayout.ScalesPerRow(format, 100)]));
        Assert.Throws<ObjectDisposedException>(() => Open("cpu").CreateWeight(pinned));
    }

    /// <summary>A fill that breaks off leaves nothing behind but undefined values, which the next one replaces.</summary>
    [Theory]
    [MemberData(nameof(AllDevicesAndFormats))]
    public void After_a_fill_that_broke_off_the_next_one_counts(string id, WeightFormat format)
    {
        const int N = 3000, K = 200;
        IDevice device = Open(id);
        Matrix input = Integers(new Random(3), 2, K);
        ITensor x = Upload(device, input), y = Empty(device, 2, N), before = Empty(device, 2, N);
        IntegerWeight old = new(1, N, K, format, 2), good = new(2, N, K, format, 0.25f);
        IWeight weight = Own(device.CreateWeight(old));
        device.Linear(before, x, weight);
        CheckpointException e = Assert.Throws<CheckpointException>(() => device.Fill(weight, new IntegerWeight(3, N, K, format, damagedRow: 2900)));
        Assert.Equal("row 2900 is damaged", e.Message);
        CancellationToken canceled = new(canceled: true);
        Assert.ThrowsAny<OperationCanceledException>(() => device.Fill(weight, new IntegerWeight(4, N, K, format), null, canceled));
        Assert.ThrowsAny<OperationCanceledException>(() => device.Pin(old, null, canceled));
        Assert.Throws<CheckpointException>(() => device.Pin(new IntegerWeight(3, N, K, format, damagedRow: 2900)));
        Assert.Equal(0, device.PinnedBytes);
        device.Fill(weight, good);
        device.Linear(y, x, weight);
        Check.SameBits($"before the fills on {id}", Read(device, before), old.Times(input));
        Check.SameBits($"after the fills on {id}", Read(device, y), good.Times(input));
    }

    [Theory]
    [MemberData(nameof(AllDevices))]
    public void Fill_refuses_what_does_not_fit(string id)
    {
        IDevice device = Open(id);
        IWeight weight = Own(device.CreateWeight(WeightFormat.Int8, 8, 40, "a"));
        foreach (IntegerWeight source in new IntegerWeight[] { new(1, 8, 41, WeightFormat.Int8), new(1, 9, 40, WeightFormat.Int8), new(1, 8, 40, WeightFormat.Int4) })
            Assert.Contains($"[8, 40] in {WeightFormat.Int8}", Assert.Throws<ArgumentException>(() => device.Fill(weight, source)).Message);
        Assert.Throws<ArgumentException>(() => device.CreateWeight(WeightFormat.Int8, 0, 40));
        Assert.Contains("abc", Assert.Throws<ArgumentException>(() => device.CreateWeight(WeightFormat.Int8, 8, -1, "abc")).Message);
        using IDevice other = TestDevices.Get(id).Open();
        Assert.Throws<ArgumentException>(() => other.Fill(weight, new IntegerWeight(1, 8, 40, WeightFormat.Int8)));
        weight.Dispose();
        Assert.Throws<ObjectDisposedException>(() => device.Fill(weight, new IntegerWeight(1, 8, 40, WeightFormat.Int8)));
        using IHostWeight disposed = device.Pin(new IntegerWeight(1, 8, 40, WeightFormat.Int8));
        disposed.Dispose();
        IWeight second = Own(device.CreateWeight(WeightFormat.Int8, 8, 40));
        Assert.Throws<ObjectDisposedException>(() => device.Fill(second, disposed));
    }

    /// <summary>A device opened with a limit keeps to it, says so, and goes on with what it has.</summary>
    [Theory]
    [MemberData(nameof(AllDevices))]
    public void A_memory_limit_holds_and_says_so(string id)
    {
        const long Limit = 8 << 20;
        using IDevice device = TestDevices.Get(id).OpenWithin(Limit);
        List<IDisposable> made = [];
        DeviceException e = Assert.Throws<DeviceException>(() =>
        {
            while (made.Count < 100) made.Add(made.Count % 2 == 0 ? device.CreateTensor(500, 128) : device.CreateWeight(WeightFormat.Fp32, 500, 128, "a weight"));
        });
        Assert.Equal(DeviceFailure.OutOfMemory, e.Failure);
        foreach (string part in new[] { "memory limit of 8.0 MiB", made.Count % 2 == 0 ? "tensor [500, 128]" : "a weight [500, 128] in Fp32", "Memory", "BatchTokens" }) Assert.Contains(part, e.Message);
        // 250 KiB each.
        Assert.Equal(32, made.Count);
        Assert.InRange(device.PeakBytes, device.AllocatedBytes, Limit);
        using (IHostWeight pinned = device.Pin(new IntegerWeight(1, 3000, 1000, WeightFormat.Fp32)))
        {
            // Host memory is another matter.
            Assert.Equal(WeightLayout.MatrixBytes(WeightFormat.Fp32, 3000, 1000), device.PinnedBytes);
        }

        foreach (IDisposable one in made) one.Dispose();
        Assert.Equal((0L, 0L), (device.AllocatedBytes, device.PinnedBytes));
        Matrix x = Integers(new Random(1), 3, 40);
        IntegerWeight source = new(1, 30, 40, WeightFormat.Int8);
        using ITensor input = device.CreateTensor(3, 40), output = device.CreateTensor(3, 30);
        device.Write(input, 0, x.Data);
        using IWeight weight = device.CreateWeight(source);
        device.Linear(output, input, weight);
        Check.SameBits($"Linear on {id} below its limit", Read(device, output), source.Times(x));
        Assert.InRange(device.PeakBytes, device.AllocatedBytes, Limit);
    }

    private static Matrix Integers(Random random, int rows, int columns)
    {
        Matrix matrix = new(rows, columns);
        foreach (ref float v in matrix.Data.AsSpan()) v = random.Next(-4, 5);
        return matrix;
    }

    /// <summary>A source of another kind than the device's own.</summary>
    private sealed class Forwarded(IWeightSource inner) : IWeightSource
    {
        public string Name => inner.Name;

        public int OutputFeatures => inner.OutputFeatures;

        public int InputFeatures => inner.InputFeatures;

        public WeightFormat Format => inner.Format;

        public float Scale => inner.Scale;

        public void ReadRows(int firstRow, int rowCount, Span<byte> values, Span<Half> scales) => inner.ReadRows(firstRow, rowCount, values, scales);
    }

    private sealed class Sum : IProgress<long>
    {
        public long Total { get; private set; }

        public void Report(long value) => Total += value;
    }
}
