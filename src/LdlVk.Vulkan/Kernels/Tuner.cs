using System.Diagnostics;
using System.Runtime.InteropServices;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;

namespace LdlVk.Vulkan.Kernels;

/// <summary>
/// Finds the fastest tilings of products by timing the most promising ones: all of them once, then the faster half twice, and so on. With a
/// limit the largest products, in which a model spends its time, come first, and those that are not reached are left for the next start: a
/// tiling takes a card 50 to 100 ms to compile, so that equal shares of 1.5 s for 15 products would measure nothing.
/// </summary>
internal sealed class Tuner(VulkanDevice device, TimeSpan? limit)
{
    /// <summary>
    /// Tilings of a product that are tried, the most promising first. There may be several hundred, and each is a pipeline to compile.
    /// </summary>
    private const int MaxTried = 16;

    /// <summary>A tiling replaces the default only if it is at least 2 % faster; smaller differences are measurement noise.</summary>
    private const double MaxRelativeTime = 0.98;

    /// <summary>Part of the limit that must be left for a product to be begun: the time of some tilings.</summary>
    private const double MinShare = 0.25;

    private readonly LinearKernels _kernels = device.Resources.LinearKernels;
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly HashSet<(string Tiles, TiledKernel Kernel, WeightFormat Format, bool Gated)> _compiled = [];
    private double _operationsPerSecond;

    /// <summary>As <see cref="ITunableDevice.Tune"/>.</summary>
    public bool Tune(IReadOnlyList<LinearProduct> products, IProgress<TunedProduct>? progress, CancellationToken cancellationToken)
    {
        IEnumerable<TilingKey> keys = products.Select(p => _kernels.KeyOf(p)).Distinct();
        TilingKey[] ordered = limit is null
            ? [.. keys.OrderBy(k => Product(k).Operations)] : [.. keys.OrderByDescending(k => Product(k).Operations)];
        try
        {
            foreach (TilingKey key in ordered)
            {
                TimeSpan? left = limit - Stopwatch.GetElapsedTime(_start);
                if (key != ordered[0] && left < limit * MinShare) break;
                // Until it is measured the default is kept: should a driver crash on a tiling, the next start does not try it again.
                if (_kernels.Choices[key] is null) _kernels.Choose(key, _kernels.Candidates(key)[0].Name);
                if (!_kernels.Choices.Save() && limit is not null) return false;
                TunedProduct tuned = Tune(key, left, cancellationToken);
                _kernels.Choose(key, tuned.Tiles);
                progress?.Report(tuned);
            }
        }
        finally
        {
            _kernels.Forced = null;
        }

        return _kernels.Choices.Save();
    }

    private static LinearProduct Product(TilingKey key) => new(
        key.Format, key.Gated, key.OutputFeatures, key.InputFeatures, key.Rows,
        key.Kernel == TiledKernel.HalfMatrix ? SumFormat.Fp16 : SumFormat.Fp32);

    private TunedProduct Tune(TilingKey key, TimeSpan? left, CancellationToken cancellationToken)
    {
        LinearProduct product = Product(key);
        IReadOnlyList<ITiling> candidates = _kernels.Candidates(key);
        var guess = new Entry(candidates[0].Name);
        // With a time limit, tilings that are already compiled come first.
        IEnumerable<Entry> others = candidates.Skip(1).Take(MaxTried - 1).Select(c => new Entry(c.Name));
        bool IsNew(Entry e) => !_compiled.Contains((e.Tiles, key.Kernel, key.Format, key.Gated));
        Entry[] field = [guess, .. others.OrderBy(e => limit is not null && IsNew(e))];
        long start = Stopwatch.GetTimestamp();
        // One call to warm up, and one to measure.
        if (left is { } most && product.Operations * 2 > _operationsPerSecond * most.TotalSeconds && _operationsPerSecond > 0)
            return Result([]);
        try
        {
            using Operands operands = new(device, product);
            Entry[] remaining = field;
            for (int times = 1; remaining.Length > 1 && !Late(); times *= 2)
            {
                foreach (Entry entry in Enumerable.Repeat(remaining, times).SelectMany(e => e).TakeWhile(_ => !Late()))
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    Measure(entry, operands, key);
                }

                // The default is measured in each round, since the others are compared with it.
                IEnumerable<Entry> measured = remaining.Where(e => e != guess && e.Seconds < double.PositiveInfinity);
                remaining = [guess, .. measured.OrderBy(e => e.Seconds).Take((remaining.Length - 1) / 2)];
            }
        }
        catch (DeviceException e) when (e.Failure == DeviceFailure.OutOfMemory)
        {
            // What was measured so far counts.
        }

        return Result(field);

        bool Late() => left is { } time && Stopwatch.GetElapsedTime(start) >= time;

        TunedProduct Result(Entry[] all)
        {
            Entry best = all.MinBy(e => e.Seconds) is { } b && b.Seconds < MaxRelativeTime * guess.Seconds ? b : guess;
            int tried = all.Count(e => e.Seconds < double.PositiveInfinity);
            return new TunedProduct(product, best.Tiles, Finite(best.Seconds), guess.Tiles, Finite(guess.Seconds), tried);
        }

        static double Finite(double seconds) => double.IsFinite(seconds) ? seconds : 0;
    }

    /// <summary>Times a call; the first one with these tiles follows an untimed call, which compiles the kernel.</summary>
    private void Measure(Entry entry, Operands operands, TilingKey key)
    {
        if (entry.Fails) return;
        _kernels.Forced = entry.Tiles;
        try
        {
            bool isFirst = double.IsPositiveInfinity(entry.Seconds);
            if (isFirst) operands.Call();
            device.Resources.Finish();
            // All tilings are to give the same bits; one that does not is not used.
            entry.Fails = isFirst && !operands.HasBitsOfFirst();
            if (entry.Fails) return;
            _compiled.Add((entry.Tiles, key.Kernel, key.Format, key.Gated));
            entry.Seconds = Math.Min(entry.Seconds, Seconds(operands.Call));
            _operationsPerSecond = Math.Max(_operationsPerSecond, operands.Product.Operations / entry.Seconds);
        }
        catch (DeviceException e) when (e.Failure == DeviceFailure.Other)
        {
            // The driver cannot compile this tiling.
            entry.Fails = true;
        }
        finally
        {
            _kernels.Forced = null;
        }
    }

    /// <summary>Seconds of a call, by the device's clock if it has one.</summary>
    private double Seconds(Action call)
    {
        if (device.WhyNotTimed is not null)
        {
            long start = Stopwatch.GetTimestamp();
            call();
            device.Resources.Finish();
            return Stopwatch.GetElapsedTime(start).TotalSeconds;
        }

        using IOpTimer timer = device.StartTimer();
        timer.Begin();
        call();
        timer.End();
        // A coarse clock may report 0 for a short call.
        return Math.Max(timer.Finish()[0], 1e-9);
    }

    /// <summary>A tiling and its best time.</summary>
    private sealed class Entry(string tiles)
    {
        public string Tiles => tiles;

        public double Seconds { get; set; } = double.PositiveInfinity;

        public bool Fails { get; set; }
    }

    /// <summary>Made-up operands of a product.</summary>
    private sealed class Operands : IDisposable
    {
        /// <summary>Rows of the result that are compared: all rows of a tile.</summary>
        private const int SampleRows = 64;

        private readonly VulkanDevice _device;
        private readonly List<IDisposable> _made = [];
        private readonly ITensor _output;
        private readonly Action _call;
        private float[]? _first;

        public Operands(VulkanDevice device, LinearProduct product)
        {
            (_device, Product) = (device, product);
            try
            {
                ITensor input = Keep(RandomTensor.Create(device, product.Rows, product.InputFeatures));
                ITensor output = _output = Keep(device.CreateTensor(product.Rows, product.OutputFeatures));
                IWeight weight = Keep(device.CreateWeight(Random("weight", seed: 1)));
                if (product.Gated)
                {
                    ITensor scratch = Keep(device.CreateTensor(product.Rows, product.OutputFeatures));
                    IWeight up = Keep(device.CreateWeight(Random("up", seed: 2)));
                    _call = () => device.GatedLinear(output, scratch, input, weight, up, GateActivation.Gelu, product.Sums);
                }
                else
                {
                    _call = () => device.Linear(output, input, weight, sums: product.Sums);
                }
            }
            catch
            {
                Dispose();
                throw;
            }
        }

        private RandomWeightSource Random(string name, uint seed) =>
            new(name, Product.OutputFeatures, Product.InputFeatures, Product.Format, seed);

        public LinearProduct Product { get; }

        public void Call() => _call();

        /// <summary>Whether the first rows of the result have the bits that they had when this was first asked.</summary>
        public bool HasBitsOfFirst()
        {
            using ITensor sample = _output.View(0, Math.Min(SampleRows, Product.Rows));
            float[] values = new float[sample.Rows * sample.Columns];
            _device.Read(sample, values);
            _first ??= values;
            return MemoryMarshal.AsBytes<float>(values).SequenceEqual(MemoryMarshal.AsBytes<float>(_first));
        }

        public void Dispose()
        {
            foreach (IDisposable made in _made) made.Dispose();
        }

        private T Keep<T>(T made) where T : IDisposable
        {
            _made.Add(made);
            return made;
        }
    }
}
