using System.Diagnostics;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;
using LdlVk.Runtime.Model;

namespace LdlVk.SelfTest;

/// <summary>The rate of a model's products, beside what the units that they run on reach by themselves.</summary>
/// <param name="Peak">The units by themselves.</param>
/// <param name="Rows">Rows of the products.</param>
/// <param name="OperationsPerSecond">Rate of the products of a layer, one after the other; 0 where none fits or all would take too long.
/// </param>
public sealed record UnitRate(PeakRate Peak, int Rows, double OperationsPerSecond)
{
    /// <summary>The products' part of the peak.</summary>
    public double Share => OperationsPerSecond / Peak.OperationsPerSecond;
}

/// <summary>How near a device comes to its own limits.</summary>
/// <param name="Units">By units of arithmetic.</param>
/// <param name="CopyBytesPerSecond">A copy in the device's memory; bytes read and bytes written both count.</param>
public sealed record DeviceRates(IReadOnlyList<UnitRate> Units, double CopyBytesPerSecond)
{
    private const int MaxRows = 1024, MinRows = 64, CopyColumns = 4096;

    /// <summary>Bytes of a copy: more than caches hold.</summary>
    private const long CopyBytes = 256 << 20;

    /// <summary>Seconds of the products of a layer, at most.</summary>
    private const double MaxSeconds = 1;

    /// <summary>Seconds above which they are left out, where even the fewest rows would take as long.</summary>
    private const double MaxSlow = 8;

    /// <summary>Part of the device's memory that a measurement takes, at most: a software driver reports the whole machine's.</summary>
    private const int MemoryShare = 4;

    /// <summary>Measures a device with the products of a model's layer; takes a few seconds.</summary>
    /// <exception cref="DeviceException">The device failed.</exception>
    public static DeviceRates Measure(ISelfTestedDevice device, BackboneConfig config, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(device);
        List<UnitRate> units = [];
        foreach (PeakRate peak in device.MeasurePeaks())
        {
            cancellationToken.ThrowIfCancellationRequested();
            units.Add(Products(device, config, peak, cancellationToken));
        }

        return new DeviceRates(units, Copy(device));
    }

    private static UnitRate Products(ISelfTestedDevice device, BackboneConfig config, PeakRate peak, CancellationToken cancellationToken)
    {
        // Half of the peak is what products of many rows may reach; fewer rows where even that would take too long.
        double perRow = LayerProducts.Of(config, peak.Format, [1]).Sum(p => p.Operations);
        int rows = (int)Math.Clamp(MaxSeconds * peak.OperationsPerSecond / 2 / perRow, MinRows, MaxRows) / MinRows * MinRows;
        double operations = 0, seconds = 0;
        // A driver that computes matrices element by element would take minutes.
        if (2 * rows * perRow / peak.OperationsPerSecond > MaxSlow) return new UnitRate(peak, rows, 0);
        foreach (LinearProduct product in LayerProducts.Of(config, peak.Format, [rows]).Select(p => p with { Sums = peak.Sums }))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (Bytes(product) > device.Info.FreeMemoryBytes / MemoryShare) continue;
            operations += product.Operations;
            seconds += Time(device, product, peak.Bytes);
        }

        return new UnitRate(peak, rows, seconds > 0 ? operations / seconds : 0);
    }

    private static double Bytes(in LinearProduct p) =>
        ((p.Gated ? 2.0 : 1.0) * WeightLayout.MatrixBytes(p.Format, p.OutputFeatures, p.InputFeatures))
        + (sizeof(float) * (double)p.Rows * ((2.0 * p.OutputFeatures) + (2.0 * p.InputFeatures)));

    private static double Time(IDevice device, LinearProduct p, bool bytes)
    {
        using ITensor input = RandomTensor.Create(device, p.Rows, p.InputFeatures), output = device.CreateTensor(p.Rows, p.OutputFeatures);
        using ITensor scratch = device.CreateTensor(p.Gated && !bytes ? p.Rows : 1, p.OutputFeatures);
        using IWeight weight = device.CreateWeight(new RandomWeightSource("weight", p.OutputFeatures, p.InputFeatures, p.Format, 1));
        using IWeight up = device.CreateWeight(new RandomWeightSource("up", p.Gated ? p.OutputFeatures : 1, p.InputFeatures, p.Format, 2));
        return Time(device, () =>
        {
            if (p.Gated && !bytes)
            {
                device.GatedLinear(output, scratch, input, weight, up, GateActivation.Gelu, p.Sums);
                return;
            }

            foreach (IWeight matrix in p.Gated ? (IWeight[])[weight, up] : [weight])
            {
                if (bytes) device.Int8Linear(output, input, matrix);
                else device.Linear(output, input, matrix, sums: p.Sums);
            }
        });
    }

    private static double Copy(IDevice device)
    {
        long bytes = Math.Min(CopyBytes, device.Info.FreeMemoryBytes / MemoryShare / 2);
        int rows = (int)Math.Max(1, bytes / (CopyColumns * sizeof(float)));
        using ITensor from = RandomTensor.Create(device, rows, CopyColumns), to = device.CreateTensor(rows, CopyColumns);
        using IIndexList all = device.CreateIndices([.. Enumerable.Range(0, rows)]);
        return 2.0 * rows * CopyColumns * sizeof(float) / Time(device, () => device.GatherRows(to, from, all));
    }

    /// <summary>The shortest of some calls, by the device's clock if it has one; the first one compiles.</summary>
    private static double Time(IDevice device, Action call)
    {
        const int Times = 3;
        using ITensor small = device.CreateTensor(1, 1);
        float[] waited = new float[1];
        call();
        double least = double.PositiveInfinity, sum = 0;
        for (int i = 0; i < Times && sum < MaxSeconds; i++)
        {
            device.Read(small, waited); // waits for all previous calls
            using IOpTimer? timer = device is ITimedDevice { WhyNotTimed: null } timed ? timed.StartTimer() : null;
            long start = Stopwatch.GetTimestamp();
            timer?.Begin();
            call();
            timer?.End();
            double seconds;
            if (timer is not null) seconds = timer.Finish()[0];
            else
            {
                device.Read(small, waited);
                seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            }

            least = Math.Min(least, Math.Max(seconds, 1e-9));
            sum += seconds;
        }

        return least;
    }
}
