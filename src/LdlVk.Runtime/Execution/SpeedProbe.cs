using System.Diagnostics;
using LdlVk.Runtime.Devices;

namespace LdlVk.Runtime.Execution;

/// <summary>Measures the speed of a device for a plan, in about a second.</summary>
public static class SpeedProbe
{
    private const int Features = 2048;

    /// <summary>Bytes of the uploaded weight: more than caches hold.</summary>
    private const double UploadBytes = 64e6;

    /// <summary>Long enough that starting and waiting do not count.</summary>
    private static readonly TimeSpan Enough = TimeSpan.FromMilliseconds(60);

    /// <summary>Measures the rate of products of many rows, and of uploads of weights.</summary>
    /// <exception cref="DeviceException">The device failed.</exception>
    public static DeviceSpeed Measure(IDevice device, WeightFormat format)
    {
        ArgumentNullException.ThrowIfNull(device);
        // Reading the product with the last uploaded weight waits for all uploads, on whichever queue they are.
        using IHostWeight lastSource = device.Pin(new RandomWeightSource("probe", 32, 32, format, seed: 1));
        using IWeight last = device.CreateWeight(format, 32, 32, "probe");
        using ITensor lastInput = device.CreateTensor(1, 32), mark = device.CreateTensor(1, 32);
        float[] read = new float[32];
        double upload = UploadRate();
        using IWeight weight = device.CreateWeight(new RandomWeightSource("probe", Features, Features, format, seed: 1));
        double product = 0;
        for (int rows = 32; rows <= 2048; rows *= 4)
        {
            using ITensor input = device.CreateTensor(rows, Features), output = device.CreateTensor(rows, Features);
            double rate = rows * Rate(times =>
            {
                for (int i = 0; i < times; i++) device.Linear(output, input, weight);
            });
            // Devices that are not faster with more rows need not show it.
            if (rate < product * 1.5)
            {
                product = Math.Max(product, rate);
                break;
            }

            product = rate;
        }

        return new DeviceSpeed(product * 2 * Features * Features, upload);

        double UploadRate()
        {
            int rows = (int)(UploadBytes / WeightLayout.RowBytes(format, Features));
            // In host memory: a device could make random values itself, without an upload.
            using IHostWeight source = device.Pin(new RandomWeightSource("probe", rows, Features, format, seed: 1));
            using IWeight target = device.CreateWeight(format, rows, Features, "probe");
            return WeightLayout.MatrixBytes(format, rows, Features) * Rate(times =>
            {
                for (int i = 0; i < times; i++) device.Fill(target, source);
            });
        }

        double Rate(Action<int> run)
        {
            Time(1);
            for (int times = 1; ; times *= 2)
            {
                TimeSpan time = Time(times);
                if (time >= Enough || times >= 1 << 12) return times / time.TotalSeconds;
            }

            TimeSpan Time(int times)
            {
                long start = Stopwatch.GetTimestamp();
                run(times);
                device.Fill(last, lastSource);
                device.Linear(mark, lastInput, last);
                device.Read(mark, read);
                return Stopwatch.GetElapsedTime(start);
            }
        }
    }
}
