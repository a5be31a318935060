using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using LdlVk.Runtime.Model;
using LdlVk.Runtime.Devices;
using LdlVk.Runtime.Execution;

namespace LdlVk.Bench;

/// <summary>How fast a folder's weights get to a device, beside a copy of as many bytes into freshly allocated memory by as many threads.</summary>
internal static class LoadSpeed
{
    private const int Rounds = 5;

    /// <summary><c>load FOLDER DEVICE [WEIGHTS]</c>.</summary>
    public static void Run(string folder, string device, WeightFormat? weights)
    {
        using Checkpoint checkpoint = Checkpoint.Open(folder);
        var settings = new LoadSettings(weights ?? checkpoint.Converted?.Weights ?? WeightFormat.Fp16);
        long bytes = ModelMemory.Of(checkpoint.Config, checkpoint.Head, settings.Weights, settings.Heads).WeightBytes;
        List<double> copies = [], loads = [];
        for (int round = 0; round <= Rounds; round++)
        {
            double copy = Seconds(() => CopyIntoFreshMemory(bytes)), load;
            using (IDevice opened = ComputeDevices.Open(ComputeDevices.Candidates(device)[0]))
                load = Seconds(() => ScoringEngine.Load(opened, checkpoint, settings).Dispose());
            // The first brings the files into the page cache.
            if (round == 0) continue;
            copies.Add(copy);
            loads.Add(load);
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{device}: {bytes / 1e9:F2} GB of {settings.Weights} weights; loading {bytes / 1e9 / loads.Min():F2} GB/s, copying {bytes / 1e9 / copies.Min():F2} GB/s: {copies.Min() / loads.Min():P0} (best of {Rounds}); of the medians {Median(copies) / Median(loads):P0}"));
    }

    private static unsafe void CopyIntoFreshMemory(long bytes)
    {
        // Larger than caches, as files are.
        const int Source = 256 << 20;
        byte[] source = GC.AllocateArray<byte>(Source, pinned: true);
        byte* fresh = (byte*)NativeMemory.Alloc((nuint)bytes);
        nint to = (nint)fresh;
        Parallel.For(0, (int)((bytes + Source - 1) / Source), part =>
        {
            long offset = (long)part * Source;
            source.AsSpan(0, (int)Math.Min(Source, bytes - offset)).CopyTo(new Span<byte>((byte*)to + offset, (int)Math.Min(Source, bytes - offset)));
        });
        NativeMemory.Free(fresh);
    }

    private static double Seconds(Action run)
    {
        long start = Stopwatch.GetTimestamp();
        run();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
