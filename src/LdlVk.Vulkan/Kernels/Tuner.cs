using System.Diagnostics;
using LdlVk.Runtime;
using LdlVk.Runtime.Devices;
using LdlVk.Vulkan.Device;

namespace LdlVk.Vulkan.Kernels;

/// <summary>
/// Finds the fastest tiles of products by timing the likely ones: all once, then the better half again and more often, and so on. Works
/// from small products to large ones, each with an even share of the time that is left; on a device so slow that a product would take
/// more than its share, the guess stays.
/// </summary>
internal sealed class Tuner(VulkanDevice device, TimeSpan? limit)
{
    /// <summary>
    /// Tilings of a product that are tried, the likely fastest first, of several hundred that there may be: each is a pipeline to compile.
    /// </summary>
    private const int MaxTried = 16;

    /// <summary>What a tiling must gain over the guess: less is within what measurements differ by from run to run.</summary>
    private const double WorthIt = 0.98;

    private readonly LinearKernels _kernels = device.Resources.LinearKernels;
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly HashSet<(string Tiles, WeightFormat Format, bool Gated)> _compiled = [];
    private double _operationsPerSecond;

    /// <summary>As <see cref="ITunableDevice.Tune"/>.</summary>
    public bool Tune(IReadOnlyList<LinearProduct> products, IProgress<TunedProduct>? progress, CancellationToken cancellationToken)
    {
        TilingKey[] keys = [.. products.Select(p => _kernels.KeyOf(p)).Distinct()];
        // Until it is measured the default is kept: should a driver crash on a tiling, the next start does not try it again.
        foreach (TilingKey key in keys)
            if (_kernels.Choices[key] is null) _kernels.Choose(key, _kernels.Candidates(key)[0].Name);
        if (!_kernels.Choices.Save() && limit is not null) return false;
        try
        {
            Run(keys, progress, cancellationToken);
        }
        finally
        {
            _kernels.Forced = null;
        }

        return _kernels.Choices.Save();
    }

    private void Run(IReadOnlyList<TilingKey> keys, IProgress<TunedProduct>? progress, CancellationToken cancellationToken)
    {
        TilingKey[] ordered = [.. keys.OrderBy(k => Product(k).Operations)];
        for (int i = 0; i < ordered.Length; i++)
        {
            TimeSpan? share = (limit - Stopwatch.GetElapsedTime(_start)) / (ordered.Length - i);
            TunedProduct tuned = Tune(ordered[i], share, cancellationToken);
            _kernels.Choose(ordered[i], tuned.Tiles);
            progress?.Report(tuned);
        }
    }

    private static LinearProduct Product(TilingKey key) => new(key.Format, key.Gated, key.OutputFeatures, key.InputFeatures, key.Rows);

    private TunedProduct Tune(TilingKey key, TimeSpan? share, CancellationToken cancellationToken)
    {
        LinearProduct product = Product(key);
        IReadOnlyList<ITiling> candidates = _kernels.Candidates(key);
        var guess = new Entry(candidates[0].Name);
        // Where time is short, what is compiled already comes first.
        Entry[] field = [guess, .. candidates.Skip(1).Take(MaxTried - 1).Select(c => new Entry(c.Name)).OrderBy(e => limit is not null && !_compiled.Contains((e.Tiles, key.Format, key.Gated)))];
        long start = Stopwatch.GetTimestamp();
        // Once to warm up, and once to measure.
        if (share is { } most && product.Operations * 2 > _operationsPerSecond * most.TotalSeconds && _operationsPerSecond > 0) return Result([]);
        try
        {
            using Operands operands = new(device, product);
            Entry[] left = field;
            for (int times = 1; left.Length > 1 && !Late(); times *= 2)
            {
                foreach (Entry entry in Enumerable.Repeat(left, times).SelectMany(e => e).TakeWhile(_ => !Late()))
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    Measure(entry, operands, key);
                }

                // The guess stays to the end, for others to be compared with it.
                left = [guess, .. left.Where(e => e != guess && e.Seconds < double.PositiveInfinity).OrderBy(e => e.Seconds).Take((left.Length - 1) / 2)];
            }
        }
        catch (DeviceException e) when (e.Failure == DeviceFailure.OutOfMemory)
        {
            // What was measured so far counts.
        }

        return Result(field);

        bool Late() => share is { } time && Stopwatch.GetElapsedTime(start) >= time;

        TunedProduct Result(Entry[] all)
        {
            Entry best = all.MinBy(e => e.Seconds) is { } b && b.Seconds < WorthIt * guess.Seconds ? b : guess;
            return new TunedProduct(product, best.Tiles, Finite(best.Seconds), guess.Tiles, Finite(guess.Seconds), all.Count(e => e.Seconds < double.PositiveInfinity));
        }

        static double Finite(double seconds) => double.IsFinite(seconds) ? seconds : 0;
    }

    /// <summary>Times a call; the first with these tiles once before, as it compiles.</summary>
    private void Measure(Entry entry, Operands operands, TilingKey key)
    {
        if (entry.Fails) return;
        _kernels.Forced = entry.Tiles;
        try
        {
            if (double.IsPositiveInfinity(entry.Seconds)) operands.Call();
            device.Resources.Finish();
            _compiled.Add((entry.Tiles, key.Format, key.Gated));
            entry.Seconds = Math.Min(entry.Seconds, Seconds(operands.Call));
            _operationsPerSecond = Math.Max(_operationsPerSecond, operands.Product.Operations / entry.Seconds);
        }
        catch (DeviceException e) when (e.Failure == DeviceFailure.Other)
        {
            // The driver cannot compile it.
            entry.Fails = true;
        }
        finally
        {
            _kernels.Forced = null;
        }
    }

    /// <summary>Seconds of a call by the device's clock where it has one.</summary>
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
        // A clock too coarse for a short call says 0.
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
        private readonly List<IDisposable> _made = [];
        private readonly Action _call;

        public Operands(VulkanDevice device, LinearProduct product)
        {
            Product = product;
            try
            {
                ITensor input = Keep(RandomTensor.Create(device, product.Rows, product.InputFeatures)), output = Keep(device.CreateTensor(product.Rows, product.OutputFeatures));
                IWeight weight = Keep(device.CreateWeight(new RandomWeightSource("weight", product.OutputFeatures, product.InputFeatures, product.Format, 1)));
                if (product.Gated)
                {
                    ITensor scratch = Keep(device.CreateTensor(product.Rows, product.OutputFeatures));
                    IWeight up = Keep(device.CreateWeight(new RandomWeightSource("up", product.OutputFeatures, product.InputFeatures, product.Format, 2)));
                    _call = () => device.GatedLinear(output, scratch, input, weight, up, GateActivation.Gelu);
                }
                else
                {
                    _call = () => device.Linear(output, input, weight);
                }
            }
            catch
            {
                Dispose();
                throw;
            }
        }

        public LinearProduct Product { get; }

        public void Call() => _call();

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
