using System.Diagnostics;
using LdlVk.Runtime.Devices;

namespace LdlVk.Benchmarking;

/// <summary>The best rates of a device: the arithmetic of a large matrix product and the traffic of a large copy.</summary>
/// <param name="ProductSize">N of the N×N×N product.</param>
/// <param name="ProductRate">Its operations per second, counted as 2·N³.</param>
/// <param name="CopyRate">Bytes per second of a copy in the device's memory; bytes read and bytes written both count.</param>
public sealed record Yardsticks(int ProductSize, double ProductRate, double CopyRate)
{
    private const int LargestProduct = 8192, CopyColumns = 4096;

    /// <summary>
    /// Operands take at most 1/16 of the device's memory, because a software driver reports the memory of the whole machine.
    /// </summary>
    private const int MemoryShare = 16;

    /// <summary>Maximum seconds of a measurement; longer ones are not started.</summary>
    private const double MaxSeconds = 1.5;

    /// <summary>Measures a device with weights of a format; takes a few seconds.</summary>
    /// <exception cref="DeviceException">The device has too little memory even for the smallest sizes.</exception>
    public static Yardsticks Measure(IDevice device, WeightFormat format)
    {
        double room = (double)device.Info.MemoryBytes / MemoryShare;
        (int size, double product) = Largest(
            512, (int)Math.Min(LargestProduct, Math.Sqrt(room / (3 * sizeof(float)))), 2, 8, n => Product(device, format, n));
        (_, double copy) = Largest(64 << 20, (int)Math.Min(1 << 30, room / 2), 4, 4, bytes => Copy(device, bytes));
        return new Yardsticks(size, product, copy);
    }

    /// <summary>Returns the seconds of a call including the wait for the device: the shortest of up to three.</summary>
    internal static double Time(IDevice device, Action call)
    {
        const int Times = 3;
        using ITensor small = device.CreateTensor(1, 1);
        float[] waited = new float[1];
        double least = double.PositiveInfinity;
        for (int i = 0; i <= Times; i++)
        {
            long start = Stopwatch.GetTimestamp();
            call();
            device.Read(small, waited); // waits for all previous calls
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            if (i > 0) least = Math.Min(least, seconds); // the first one compiles
            if (seconds * Times > MaxSeconds && i > 0) break;
        }

        return least;
    }

    /// <summary>Returns the best rate over growing sizes, until a size does not fit or takes too long.</summary>
    private static (int Size, double Rate) Largest(
        int first, int last, int step, double growth, Func<int, (double Work, double Seconds)> measure)
    {
        (int Size, double Rate) best = default;
        for (int size = first; size > 0 && (size <= last || size == first); size *= step)
        {
            try
            {
                (double work, double seconds) = measure(size);
                if (work / seconds > best.Rate) best = (size, work / seconds);
                if (seconds * growth > MaxSeconds) break;
            }
            catch (DeviceException) when (best.Rate > 0)
            {
                break; // not enough memory for larger sizes
            }
        }

        return best;
    }

    private static (double Work, double Seconds) Product(IDevice device, WeightFormat format, int n)
    {
        using ITensor input = RandomTensor.Create(device, n, n), output = device.CreateTensor(n, n);
        using IWeight weight = device.CreateWeight(new RandomWeightSource("product", n, n, format, 1));
        return (2.0 * n * n * n, Time(device, () => device.Linear(output, input, weight)));
    }

    private static (double Work, double Seconds) Copy(IDevice device, int bytes)
    {
        int rows = bytes / (CopyColumns * sizeof(float));
        using ITensor from = RandomTensor.Create(device, rows, CopyColumns), to = device.CreateTensor(rows, CopyColumns);
        using IIndexList all = device.CreateIndices([.. Enumerable.Range(0, rows)]);
        return (2.0 * bytes, Time(device, () => device.GatherRows(to, from, all)));
    }
}
